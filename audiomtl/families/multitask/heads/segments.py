"""segments: which of the classes of data.label is heard in each step (``passages``: spans in which the clip's
class is heard).

Scores: step_f1: of all pairs of step and class; with every score event_f1, segment_f1 ... and psds
(`metrics.events`); of the scores of steps, or smoothed and with thresholds of each class (``decoding.HEAD``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    "activity_of",
    "batch",
    "classes",
    "decoder_from_json",
    "decoder_to_json",
    "fit_decoder",
    "loss",
    "output",
    "panel",
    "per_clip",
    "picture",
    "read",
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
    activation="sigmoid",
    decoders=("segments",),
    beside_kind="clip_class",
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

    return layers.Dense(classes, name=layer)(steps)


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Binary cross-entropy, summed over classes."""
    from audiomtl.families.multitask import losses

    return losses.over_steps(*losses.binary_cross_entropy(outputs, target), weight, steps)


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Passages of each class that is heard."""
    times, found = step_times(answer.n_frames, settings), []
    active = activity_of(head, answer)
    for number, name in enumerate(names):
        found += [
            (max(start, 0.0), end, name)
            for start, end, on in runs(active[:, number].astype(int), times)
            if on
        ]
    return sorted(found)


def read(answer: Answer) -> np.ndarray:  # (steps, classes)
    """Scores of each step, smoothed by the decoder where there is one."""
    return _read_all([answer])[0]


def _read_all(answers: Sequence[Answer]) -> list[np.ndarray]:
    decoder, outputs = answers[0].decoder, [one.output for one in answers]
    if decoder is None:
        return outputs
    beside = decoder.numbers["beside"]
    found: list[np.ndarray] = decoder.scores(
        outputs, [one.outputs[beside] for one in answers] if beside else None
    )
    return found


def activity_of(head: Any, answer: Answer) -> np.ndarray:  # (steps, classes) bool
    """In which steps each class is heard: its score reaches the threshold, or the decoder says so."""
    if answer.decoder is None:
        found: np.ndarray = answer.output >= head.threshold
        return found
    active: np.ndarray = answer.decoder.activity(read(answer))
    return active


def fit_decoder(
    name: str,
    head: Any,
    decoding: Any,
    train: Sequence[Answer],
    validation: Sequence[Answer],
    names: Sequence[str],
    settings: Any,
) -> Any:
    """Median filter and weight of the clip's class by psds, which no threshold changes; then the other
    numbers by event_f1, with one threshold for all classes; then for each class the threshold that is best
    for its own events. All on the validation split; what no clip can decide is the first candidate.
    """
    from audiomtl.nn.decoding.decoders import SegmentDecoder, best
    from audiomtl.settings.decoding import candidates, with_numbers

    grid, truth = decoding.class_thresholds, _true_events(head, validation, settings)
    numbers = candidates(with_numbers(decoding, {"class_thresholds": grid[:1]}))

    def smoothing(one: Mapping[str, Any]) -> tuple[Any, Any]:
        return one["median_steps"], one["clip_weight"]

    def judged(decoder: Any) -> list[Answer]:
        return [replace(one, decoder=decoder) for one in validation]

    smooth = {smoothing(one): SegmentDecoder(one, (grid[0],) * len(names)) for one in reversed(numbers)}
    first = list(dict.fromkeys(map(smoothing, numbers)))
    if not truth:
        return smooth[first[0]]
    chosen = best([smooth[one] for one in first], lambda one: _psds(judged(one), truth, names, settings))
    made = [
        replace(chosen, numbers=one, thresholds=(threshold,) * len(names))
        for one in numbers
        if smoothing(one) == smoothing(chosen.numbers)
        for threshold in grid
    ]
    chosen = best(
        made,
        lambda one: events.event_based(truth, _found_events(head, judged(one), names, settings))["event_f1"],
    )
    thresholds = _own_thresholds(chosen, grid, head, validation, names, settings)
    return replace(chosen, thresholds=thresholds)


def _own_thresholds(
    decoder: Any,
    grid: Sequence[float],
    head: Any,
    answers: Sequence[Answer],
    names: Sequence[str],
    settings: Any,
) -> tuple[float, ...]:
    """For each class the threshold with the best F1 of its own events; that of all classes where none is
    better, or no clip has the class.
    """
    truth, found = _true_events(head, answers, settings), list(decoder.thresholds)
    heard: dict[float, list[events.Event]] = {}
    for threshold in dict.fromkeys([*found, *grid]):
        one_for_all = replace(decoder, thresholds=(threshold,) * len(names))
        some = [replace(one, decoder=one_for_all) for one in answers]
        heard[threshold] = _found_events(head, some, names, settings)
    for number, name in enumerate(names):
        own = [event for event in truth if event[3] == name]
        if own:
            of_class = {
                threshold: events.event_based(own, [event for event in some if event[3] == name])["event_f1"]
                for threshold, some in heard.items()
            }
            found[number] = max(of_class, key=of_class.__getitem__)
    return tuple(found)


def decoder_to_json(decoder: Any) -> dict[str, Any]:
    return {"numbers": dict(decoder.numbers), "thresholds": list(decoder.thresholds)}


def decoder_from_json(saved: Mapping[str, Any]) -> Any:
    from audiomtl.nn.decoding.decoders import SegmentDecoder

    return SegmentDecoder(dict(saved["numbers"]), tuple(saved["thresholds"]))


def _true_events(head: Any, answers: Sequence[Answer], settings: Any) -> list[events.Event]:
    return [
        (one.clip_id, *span, str(one.row[settings.data.label]))
        for one in answers
        for span in one.row[head.reads("")]
    ]


def _found_events(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any
) -> list[events.Event]:
    return [(one.clip_id, *span) for one in answers for span in spans(head, one, names, settings)]


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    _read_all(answers)  # at once
    said = np.concatenate([activity_of(head, one) for one in answers])
    true = np.concatenate([one.target > 0 for one in answers])
    found = {"step_f1": 2 * float((said & true).sum()) / max(int(said.sum() + true.sum()), 1)}
    truth = _true_events(head, answers, settings)
    if not every_score or not truth:
        return found
    predicted = _found_events(head, answers, names, settings)
    based = events.event_based(truth, predicted) | events.segment_based(truth, predicted)
    wanted = ("event_f1", "event_macro_f1", "segment_f1", "segment_error_rate")
    return found | {name: based[name] for name in wanted} | {"psds": _psds(answers, truth, names, settings)}


def _psds(
    answers: Sequence[Answer], truth: Sequence[events.Event], names: Sequence[str], settings: Any
) -> float:
    """Of the classes that truth has."""
    import pandas as pd

    tables = {}
    for one in answers:
        edges = settings.step_seconds * np.arange(len(one.output) + 1)
        tables[one.clip_id] = pd.DataFrame(
            {"onset": edges[:-1], "offset": edges[1:]} | dict(zip(names, read(one).T, strict=True))
        )
    heard_of = [name for name in names if name in {label for *_, label in truth}]
    tables = {clip_id: table[["onset", "offset", *heard_of]] for clip_id, table in tables.items()}
    return events.psds(
        tables, truth, {clip_id: float(table["offset"].iloc[-1]) for clip_id, table in tables.items()}
    )


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """steps_right and steps_marked: step_f1 is the first by the second, of all pairs of step and class."""
    said, true = activity_of(head, answer), answer.target > 0
    marked = said.sum() + true.sum()
    return {f"{name}_steps_right": 2.0 * float((said & true).sum()), f"{name}_steps_marked": float(marked)}


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``steps``: a row per step, HEAD_CLASS; with a decoder ``events``: a row per segment."""
    times, half, found = step_times(answer.n_frames, settings), settings.step_seconds / 2, []
    for number, values in enumerate(read(answer)):
        row = {"clip_id": answer.clip_id, "step": number}
        row |= {"start_seconds": times[number] - half, "end_seconds": times[number] + half}
        found.append(
            row | {f"{name}_{label}": float(value) for label, value in zip(names, values, strict=True)}
        )
    if answer.decoder is None:
        return {"steps": found}
    place = {"clip_id": answer.clip_id, "head": name}
    events = [
        place | {"start_seconds": start, "end_seconds": end, "label": label}
        for start, end, label in spans(head, answer, names, settings)
    ]
    return {"steps": found, "events": events}


def panel(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> tuple[str, tuple[Any, ...]]:
    """Activities, true and found."""
    return "activities", (answer.target, read(answer), names)
