"""What an analysis is: what it requires of a study, its estimates, and what its report says.

The command line and the report take any analysis that is listed in `registry.ANALYSES` and know
none by name. docs/contributing/add-an-analysis.md leads through a new one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xarray as xr

from causalbias.errors import DataError
from causalbias.report.content import Content


class Run[Result](Protocol):
    """Estimates of an analysis; further keyword arguments need defaults."""

    def __call__(
        self,
        study: xr.DataTree,
        *,
        prob: float = ...,
        random_seed: int = ...,
        progress: Callable[[str], None] | None = ...,
        keep: Path | None = ...,
    ) -> Result:
        """Analyse a study.

        Parameters
        ----------
        study : DataTree
        prob : float
            Probability of the intervals.
        random_seed : int
        progress : callable
            Called with a line of text before each step that takes long.
        keep : Path, optional
            Directory for fits, so that an interrupted run resumes.
        """
        ...


class MakeContent[Result](Protocol):
    """Content of the report on an analysis's result."""

    def __call__(self, result: Result, /, *, images: Mapping[str, object] | None = ...) -> Content:
        """Write down what the report says.

        Parameters
        ----------
        result
            What `Run` returned.
        images : mapping of stimulus to path or array, optional
            Images of the faces, whose quality is then checked too.
        """
        ...


@dataclass(frozen=True)
class Analysis[Result]:
    """An analysis as the command line and the report use it.

    Attributes
    ----------
    name : str
        As in ``causalbias run --analysis NAME``.
    description : str
        One line: the question that the analysis answers.
    require : function of a study
        Raises a `DataError` that names what the study lacks, and a way out. It looks at the study's
        factors and groups only, so that it is fast.
    run : function of a study
        Returns the estimates; see `Run`.
    content : function of what `run` returns
        Returns the report's content; see `MakeContent`.

    Examples
    --------
    >>> import causalbias as cb
    >>> from causalbias.analyses.registry import ANALYSES
    >>> ANALYSES["manipulation"].applies(cb.demo_study())
    True
    >>> ANALYSES["identity"].why_not(cb.demo_study())
    'the study has factors seed, attribute, level, but no gender, race'
    """

    name: str
    description: str
    require: Callable[[xr.DataTree], None]
    run: Run[Result]
    content: MakeContent[Result]

    def applies(self, study: xr.DataTree) -> bool:
        """Whether the study has what the analysis requires."""
        return not self.why_not(study)

    def why_not(self, study: xr.DataTree) -> str:
        """Why the analysis does not apply to the study; empty if it applies."""
        try:
            self.require(study)
        except DataError as error:
            return error.problem
        return ""
