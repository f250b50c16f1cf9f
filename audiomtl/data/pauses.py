"""Which symbols of a data set's phones are pauses: time without speech, that no phone error rate counts.

A module of a data set names its own in ``PAUSES``; ``data.pauses`` in the settings says otherwise. Contents:
`USUAL`, `pauses_of`.
"""

from audiomtl.data import catalog
from audiomtl.settings.clips import DataSet

# of other data: this project, TIMIT, the Montreal Forced Aligner, HTK
USUAL = ("_", "sil", "sp", "pau", "h#")


def pauses_of(data: DataSet) -> frozenset[str]:
    """The symbols that ``data.pauses`` names, or else those of the data set, or else `USUAL`."""
    if data.pauses is not None:
        return frozenset(data.pauses)
    return frozenset(getattr(catalog.module(data), "PAUSES", USUAL))
