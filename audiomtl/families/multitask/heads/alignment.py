"""alignment: phone of ``inputs.text`` in each step; decoded in order.

Scores: median_ms, mean_ms, within_50_ms ... of phones' onsets, perceptual (`metrics.alignment.onsets`);
boundary_mean_ms ... of all boundaries (`metrics.alignment.boundaries`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from audiomtl.data.pauses import pauses_of
from audiomtl.errors import UserError
from audiomtl.families.multitask import viterbi
from audiomtl.families.multitask.heads import About, Answer, Spans
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_classes as classes
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads.phones import batch, loss, panel, rows
from audiomtl.families.multitask.steps import spoken, step_times
from audiomtl.metrics import alignment as timing

__all__ = [
    "ABOUT",
    "batch",
    "classes",
    "loss",
    "output",
    "panel",
    "picture",
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=(
        *("median_ms", "mean_ms", "within_50_ms", "within_100_ms", "within_300_ms", "perceptual"),
        *("boundary_mean_ms", "boundary_median_ms"),
        *("boundary_within_10_ms", "boundary_within_20_ms", "boundary_within_50_ms"),
    ),
    minimized=("median_ms", "mean_ms", "boundary_mean_ms", "boundary_median_ms"),
    column="phones",
    beside=("starts", "ends"),
    produces="phones",
    reads_text=True,
    activation="softmax",
)


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray | None:
    """Position in the given text of each step; what lies in no phone is the pause before the next one."""
    # phones made from a transcript have no times
    if any(row[column] is None for column in (settings.inputs.text, "starts", "ends")):
        return None
    phones: Sequence[str] = row[head.reads("")]
    index = spoken(row["starts"], row["ends"], step_times(n_frames, settings))
    pauses = pauses_of(settings.data)
    given = [phone for phone in row[settings.inputs.text] if phone not in pauses]
    if given != [phone for phone in phones if phone not in pauses]:
        raise UserError(
            f'heads.{name}: clip {row["clip_id"]}: the text of inputs.text = "{settings.inputs.text}" differs'
            " from the labelled phones"
        )
    if len(given) > len(index):
        raise UserError(
            f"heads.{name}: clip {row['clip_id']}: a text of {len(given)} phones is longer than the recording"
            f" of {len(index)} steps ({settings.step_seconds:.3f} s each); shorten features.hop_seconds or"
            " encoder.pool_frames, or leave the clip out"
        )
    places, said = [], 0
    for phone in phones:
        places.append(2 * said + (phone not in pauses))
        said += phone not in pauses
    return np.array([*places, 2 * said])[np.where(index >= 0, index, len(places))]


def output(
    layer: str,
    steps: Any,
    lengths: Any,
    *,
    classes: int,
    bands: int,
    stride: int,
    text: Any = None,
    keys: Any = None,
) -> Any:
    from keras import layers

    from audiomtl.families.multitask.encoder import Attend

    symbols, tokens = text
    return Attend(stride, scores=True, name=layer)(
        [layers.Dense(symbols.shape[2], name=f"{layer}_steps")(steps), lengths, symbols, tokens]
    )


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """The given phones with their times; none for a clip without text, such as a piano alone.

    Raises
    ------
    ValueError : a text that is longer than the sound.
    """
    text = answer.row[settings.inputs.text]
    pauses = pauses_of(settings.data)
    phones = [phone for phone in (text if text is not None else ()) if phone not in pauses]
    starts, ends = viterbi.onsets(viterbi.path(answer.output), step_times(answer.n_frames, settings))
    return list(zip(starts.tolist(), ends.tolist(), phones, strict=True))


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    found = [spans(head, one, names, settings) for one in answers]
    column, pauses = head.reads(""), pauses_of(settings.data)
    truth_starts, truth_ends = zip(*(_spoken(one.row, column, pauses) for one in answers), strict=True)
    starts, ends = ([[one[side] for one in phones] for phones in found] for side in (0, 1))
    both = [[*one, *other] for one, other in zip(truth_starts, truth_ends, strict=True)]
    return timing.onsets(truth_starts, [np.maximum(one, 0) for one in starts]) | timing.boundaries(
        [sorted(one) for one in both],
        [sorted(np.maximum([*one, *other], 0)) for one, other in zip(starts, ends, strict=True)],
    )


def _spoken(row: Mapping[str, Any], column: str, pauses: Collection[str]) -> tuple[list[float], list[float]]:
    """Starts and ends of a clip's phones, pauses left out."""
    kept = [
        (start, end)
        for phone, start, end in zip(row[column], row["starts"], row["ends"], strict=True)
        if phone not in pauses
    ]
    return [start for start, _ in kept], [end for _, end in kept]
