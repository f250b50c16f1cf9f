"""Keys of an experiment's data, one for each kind of file that its clips have.

Contents: `by_column`, `TABLE`, `DICTIONARY`.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from audiomtl.data import catalog, text
from audiomtl.data.catalog import _paths, _plain

TABLE = "table"  # clip ids, labels, groups, folds and all other cells that are no paths
DICTIONARY = "dictionary"  # of [text]


def by_column(table: pd.DataFrame, raw: Mapping[str, Any]) -> dict[str, str]:
    """{"table": key of the cells that are no paths, COLUMN: key of the files that a column names, ...}.

    So of two modalities each has its own. Keys are those of `catalog.fingerprint`: paths do not matter, and
    files that have not changed are not read again.

    Parameters
    ----------
    table : as `catalog.clips` returns it. raw : the experiment, whose ``[text]`` may name a dictionary.

    Raises
    ------
    UserError : a file that cannot be read.
    """
    columns = sorted(set(table.columns) - {"clip_id"})
    files = [name for name in columns if _paths(_plain(table[name]))]
    keys = {TABLE: catalog.fingerprint(table.drop(columns=files))}
    for name in files:
        shown = f"{name} (files)" if name in (TABLE, DICTIONARY) else name
        keys[shown] = catalog.fingerprint(table[["clip_id", name]])
    if words := text.dictionary_digest(raw):
        keys[DICTIONARY] = words[:12]
    return keys
