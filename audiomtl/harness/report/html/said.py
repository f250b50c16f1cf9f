"""Two sequences of phones, aligned: what is true above what was said. Contents: `said`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein


def said(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of true and predicted phones of the alignment with the fewest edits; "" where one has none.

    Parameters
    ----------
    row : of a table of predictions. One whose ``predicted`` is no sequence in time has [].
    """
    truth, predicted = row.get("truth"), row.get("predicted")
    sequences = all(isinstance(value, list | tuple | np.ndarray) for value in (truth, predicted))
    if not sequences or "predicted_starts" not in row:
        return []
    true, guess = ([str(one) for one in value] for value in (truth, predicted))  # type: ignore[union-attr]
    pairs = list[tuple[str, str]]()
    for block in Levenshtein.opcodes(true, guess):
        left, right = true[block.src_start : block.src_end], guess[block.dest_start : block.dest_end]
        pairs += zip(left or [""] * len(right), right or [""] * len(left), strict=True)
    return pairs
