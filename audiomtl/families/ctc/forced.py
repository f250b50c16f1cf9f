"""Forced alignment with a trained CTC model: how far its boundaries are from the true ones, and how sure it
is that a text was said.

Contents: `aligner`, `boundary_scores`, `calibrated`; `pause_of`, `texts_of`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from audiomtl.data.pauses import pauses_of
from audiomtl.families.contract import Fitted, Output
from audiomtl.families.ctc import alignment, said
from audiomtl.families.ctc.alignment import Aligned
from audiomtl.metrics import alignment as timing
from audiomtl.nn import ctc

BATCH = 32  # recordings that are aligned together
CLIPS = 48  # most clips of the validation split that calibrate


def pause_of(fitted: Fitted) -> int | None:
    """Class of the pause, where there is one; of several that of the first by name."""
    vocabulary = fitted.known.vocabulary
    known = sorted(pauses_of(fitted.settings.data) & set(vocabulary))
    return vocabulary.index(known[0]) + 1 if known else None


def aligner(fitted: Fitted) -> said.Align:
    """What aligns texts with outputs of this model; a pause may stand anywhere, or where ``breaks`` says."""
    settings, known = fitted.settings, fitted.known
    step = settings.features.seconds(settings.network.time_reduction)

    def align(
        logits: Sequence[np.ndarray],
        phones: Sequence[np.ndarray],
        breaks: Sequence[np.ndarray] | None = None,
    ) -> list[Aligned]:
        found: list[Aligned] = []
        for first in range(0, len(logits), BATCH):
            some = slice(first, first + BATCH)
            found += alignment.align(
                logits[some],
                phones[some],
                mode=known.mode,
                pause=pause_of(fitted),
                breaks=None if breaks is None else breaks[some],
                extension=alignment.EXTENSION_SECONDS / step,
                minimum=round(alignment.SHORTEST_SECONDS / step),
            )
        return found

    return align


def texts_of(
    fitted: Fitted, found: Sequence[Output]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Outputs, classes of the phones and their onsets in seconds (None: unknown) of the clips whose text can
    be aligned; pauses and phones that the model does not know are left out.
    """
    pauses = pauses_of(fitted.settings.data)
    classes = {
        phone: number for number, phone in enumerate(fitted.known.vocabulary, start=1) if phone not in pauses
    }
    kept = []
    for one, output in found:
        places = [place for place, phone in enumerate(one.phones) if phone in classes]
        own = np.array([classes[one.phones[place]] for place in places], int)
        if places and ctc.feasible(len(output), own):
            kept.append((output, own, one.starts[places] if len(one.starts) else None))
    return kept


def boundary_scores(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """How far phones lie from their onsets when the true ones are aligned (`metrics.alignment.boundaries`),
    over the clips whose times are known; none without such.
    """
    settings = fitted.settings
    timed = [(output, own, starts) for output, own, starts in texts_of(fitted, found) if starts is not None]
    if not timed:
        return {}
    step = settings.features.seconds(settings.network.time_reduction)
    aligned = aligner(fitted)([output for output, _, _ in timed], [own for _, own, _ in timed])
    return timing.boundaries(
        [starts for _, _, starts in timed], [np.maximum(one.starts * step, 0.0) for one in aligned]
    )


def calibrated(fitted: Fitted, found: Sequence[Output]) -> said.Said | None:
    """Probabilities of phones, words and texts, from clips that the network was not trained on; None where
    their texts are too few or all the same.
    """
    texts: list[Any] = texts_of(fitted, found)[:CLIPS]
    if not texts:
        return None
    made = said.trials([one[0] for one in texts], [one[1] for one in texts], aligner(fitted))
    return said.fitted(made)
