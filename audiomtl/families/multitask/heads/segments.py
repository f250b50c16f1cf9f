"""segments: which of the classes of data.label is heard in each step (``passages``: spans in which the clip's
class is heard).

Scores: step_f1: of all pairs of step and class; with every score event_f1, segment_f1 ... and psds
(`metrics.events`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import About, Answer, Spans
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads.clip_class import sorted_classes
from audiomtl.families.multitask.steps import runs, stacked, step_times
from audiomtl.metrics import events

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ABOUT",
    "batch",
    "classes",
    "loss",
    "output",
    "panel",
    "per_clip",
    "picture",
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=("step_f1", "event_f1", "event_macro_f1", "segment_f1", "segment_error_rate", "psds"),
    minimized=("segment_error_rate",),
    slow=("event_f1", "event_macro_f1", "segment_f1", "segment_error_rate", "psds"),
    column="passages",
    produces="segments",
)


def classes(name: str, head: Any, train: "pd.DataFrame", settings: Any) -> tuple[str, ...]:
    return sorted_classes(name, train[settings.data.label])


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    label = str(row[settings.data.label])
    if label not in names:
        raise UserError(
            f"heads.{name}: clip {row['clip_id']} has the class {row[settings.data.label]}, which no train"
            f" clip has; available: {', '.join(names)}; raise train_share, or leave the clip out"
        )
    return activity(row[head.reads("")], names.index(label), n_frames, len(names), settings)


def activity(
    passages: Sequence[tuple[float, float]], label: int, n_frames: int, classes: int, settings: Any
) -> np.ndarray:
    """(n_steps, classes): 1 for the clip's class in steps of which at least half lies in a passage."""
    starts = settings.step_seconds * np.arange(-(-n_frames // settings.stride))
    ends = starts + settings.step_seconds
    inside = sum(
        (np.clip(np.minimum(ends, end) - np.maximum(starts, start), 0, None) for start, end in passages),
        0 * starts,
    )
    found = np.zeros((len(starts), classes), np.float32)
    found[:, label] = inside >= 0.5 * settings.step_seconds
    return found


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return stacked(targets, steps, columns=classes)


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

    return layers.Dense(classes, activation="sigmoid", name=layer)(steps)


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Binary cross-entropy, summed over classes."""
    from audiomtl.families.multitask import losses

    return losses.over_steps(*losses.binary_cross_entropy(outputs, target), weight, steps)


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Passages of each class whose scores reach the threshold."""
    times, found = step_times(answer.n_frames, settings), []
    for number, name in enumerate(names):
        found += [
            (max(start, 0.0), end, name)
            for start, end, on in runs((answer.output[:, number] >= head.threshold).astype(int), times)
            if on
        ]
    return sorted(found)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    import pandas as pd

    said = np.concatenate([one.output >= head.threshold for one in answers])
    true = np.concatenate([one.target > 0 for one in answers])
    found = {"step_f1": 2 * float((said & true).sum()) / max(int(said.sum() + true.sum()), 1)}
    truth = [
        (one.clip_id, *span, str(one.row[settings.data.label]))
        for one in answers
        for span in one.row[head.reads("")]
    ]
    if not every_score or not truth:
        return found
    predicted = [(one.clip_id, *span) for one in answers for span in spans(head, one, names, settings)]
    based = events.event_based(truth, predicted) | events.segment_based(truth, predicted)
    tables = {}
    for one in answers:
        edges = settings.step_seconds * np.arange(len(one.output) + 1)
        tables[one.clip_id] = pd.DataFrame(
            {"onset": edges[:-1], "offset": edges[1:]} | dict(zip(names, one.output.T, strict=True))
        )
    heard_of = [name for name in names if name in {label for *_, label in truth}]
    tables = {clip_id: table[["onset", "offset", *heard_of]] for clip_id, table in tables.items()}
    psds = events.psds(
        tables, truth, {clip_id: float(table["offset"].iloc[-1]) for clip_id, table in tables.items()}
    )
    wanted = ("event_f1", "event_macro_f1", "segment_f1", "segment_error_rate")
    return found | {name: based[name] for name in wanted} | {"psds": psds}


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """steps_right and steps_marked: step_f1 is the first by the second, of all pairs of step and class."""
    said, true = answer.output >= head.threshold, answer.target > 0
    marked = said.sum() + true.sum()
    return {f"{name}_steps_right": 2.0 * float((said & true).sum()), f"{name}_steps_marked": float(marked)}


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``steps``: a row per step, HEAD_CLASS."""
    times, half, found = step_times(answer.n_frames, settings), settings.step_seconds / 2, []
    for number, values in enumerate(answer.output):
        row = {"clip_id": answer.clip_id, "step": number}
        row |= {"start_seconds": times[number] - half, "end_seconds": times[number] + half}
        found.append(
            row | {f"{name}_{label}": float(value) for label, value in zip(names, values, strict=True)}
        )
    return {"steps": found}


def panel(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> tuple[str, tuple[Any, ...]]:
    """Activities, true and found."""
    return "activities", (answer.target, answer.output, names)
