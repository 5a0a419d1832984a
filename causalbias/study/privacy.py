"""Annotator ids are personal data: they become pseudonyms as soon as they are read."""

import hashlib

import pandas as pd


def pseudonymise(ids: pd.Series, salt: bytes) -> pd.Series:
    """Replace each id by a keyed hash of it.

    Parameters
    ----------
    ids : Series of str
        Annotator ids as recorded.
    salt : bytes
        Key of the hash, which is never stored. The same salt gives the same pseudonyms. Loaders
        derive it from the content of the file (`salt_from`), so that only those who have the file
        can reproduce the pseudonyms.

    Returns
    -------
    Series of str
        Pseudonyms: ``"a"`` followed by twelve hexadecimal digits.

    Examples
    --------
    >>> import pandas as pd
    >>> pseudonymise(pd.Series(["ann", "bob", "ann"]), b"secret").nunique()
    2
    """
    key = hashlib.blake2b(salt, digest_size=32).digest()
    distinct = ids.unique()
    names = {
        one: "a" + hashlib.blake2b(str(one).encode(), key=key, digest_size=6).hexdigest()
        for one in distinct
    }
    if len(set(names.values())) < len(distinct):
        raise ValueError("two annotators got the same pseudonym; give another salt")
    return ids.map(names).astype(str)


def salt_from(content: bytes) -> bytes:
    """Derive a salt from a file's content, which cannot be derived from the file's SHA-256."""
    return hashlib.blake2b(content, person=b"causalbias-salt").digest()
