"""phones: which phone of the train side is heard in each step.

Scores: frame_accuracy, of steps in which a phone lies; error_rate: runs of the likeliest phone, or of the
best path (``decoding.HEAD``), against the phones, no pauses (`pauses_of`); error_rate_with_pauses: with them;
greedy_error_rate: without the best path.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.data.pauses import pauses_of
from audiomtl.families.multitask.heads import About, Answer, Spans, kind
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.steps import runs, spoken, stacked, step_times
from audiomtl.metrics.sequences import edit_counts, error_rate, without

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ABOUT",
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
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=("frame_accuracy", "error_rate", "error_rate_with_pauses", "greedy_error_rate"),
    minimized=("error_rate", "error_rate_with_pauses", "greedy_error_rate"),
    slow=("greedy_error_rate",),
    column="phones",
    beside=("starts", "ends"),
    produces="phones",
    activation="softmax",
    decoders=("viterbi",),
)


def classes(name: str, head: Any, train: "pd.DataFrame", settings: Any) -> tuple[str, ...]:
    return tuple(sorted({phone for phones in train[head.reads("")].dropna() for phone in phones}))


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray | None:
    """Number of the phone in each step; -1 where none lies, or one that no train clip has. None of a clip
    whose phones have no times.
    """
    if any(row[column] is None or len(row[column]) == 0 for column in ("starts", "ends")):
        return None
    index = spoken(row["starts"], row["ends"], step_times(n_frames, settings))
    numbers = np.array([names.index(phone) if phone in names else -1 for phone in row[head.reads("")]] + [-1])
    return numbers[index]


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return stacked(targets, steps, fill=-1).astype(np.int32)


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
    """Cross-entropy of the steps that have a class."""
    from audiomtl.families.multitask import losses

    return losses.over_steps(*losses.cross_entropy(outputs, target), weight, steps)


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Runs of the likeliest phone, or of the best path."""
    [path] = _paths([answer])
    times = step_times(answer.n_frames, settings)
    return [(start, end, names[number]) for start, end, number in runs(path, times)]


def _paths(answers: Sequence[Answer]) -> list[np.ndarray]:
    """The phone of each step."""
    if answers and answers[0].decoder is not None:
        return answers[0].decoder.paths([one.output for one in answers])
    return [one.output.argmax(axis=1) for one in answers]


def fit_decoder(
    name: str,
    head: Any,
    decoding: Any,
    train: Sequence[Answer],
    validation: Sequence[Answer],
    names: Sequence[str],
    settings: Any,
) -> Any:
    """A bigram of the phones of the train split, and numbers by the error rate on the validation split."""
    from audiomtl.nn.decoding import frames

    def judge(decoder: frames.FrameDecoder) -> float:
        if not validation:
            return 0.0  # nothing to choose on: the first of the candidates
        some = [replace(one, decoder=decoder) for one in validation]
        return scores(head, some, names, settings, every_score=False)["error_rate"]

    texts = [list(one.row[head.reads("")]) for one in train]
    timed = [one.target for one in train if one.target is not None]
    shares = frames.share_of_steps(timed, len(names))
    return frames.fit(decoding, names, texts, shares, judge)


def decoder_to_json(decoder: Any) -> dict[str, Any]:
    from audiomtl.nn.decoding import frames

    return frames.to_json(decoder)


def decoder_from_json(saved: Mapping[str, Any]) -> Any:
    from audiomtl.nn.decoding import frames

    return frames.from_json(saved)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    paths = _paths(answers)  # at once, which is faster; `spans` then finds them
    within = [
        spoken(one.row["starts"], one.row["ends"], step_times(one.n_frames, settings)) >= 0 for one in answers
    ]
    right = np.concatenate(
        [(one.target == path)[own] for one, path, own in zip(answers, paths, within, strict=True)]
    )
    sung = [list(one.row[head.reads("")]) for one in answers]

    def rate(some: Sequence[Answer], left_out: Collection[str]) -> float:
        found = [[phone for *_, phone in spans(head, one, names, settings)] for one in some]
        return error_rate(without(sung, left_out), without(found, left_out))

    pauses = pauses_of(settings.data)
    total = {"frame_accuracy": float(right.mean()), "error_rate": rate(answers, pauses)}
    total["error_rate_with_pauses"] = rate(answers, ())
    if every_score and any(one.decoder is not None for one in answers):
        total["greedy_error_rate"] = rate([replace(one, decoder=None) for one in answers], pauses)
    return total


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """edits and phones (the reference length, without pauses); frames_right and frames, in which a phone
    lies.
    """
    found = spans(head, answer, names, settings)
    texts = list(answer.row[head.reads("")]), [phone for _, _, phone in found]
    counts = edit_counts(*(without([text], pauses_of(settings.data)) for text in texts))
    length = counts.pop("reference_length")
    own = spoken(answer.row["starts"], answer.row["ends"], step_times(answer.n_frames, settings)) >= 0
    right = (answer.target == _paths([answer])[0])[own]
    counted = {
        "edits": sum(counts.values()),
        "phones": length,
        "frames_right": right.sum(),
        "frames": own.sum(),
    }
    return {f"{name}_{what}": float(value) for what, value in counted.items()}


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``events``: a row per phone."""
    found = kind(head.kind).spans(head, answer, names, settings)
    place = {"clip_id": answer.clip_id, "head": name}
    return {
        "events": [
            place | {"start_seconds": start, "end_seconds": end, "label": str(label)}
            for start, end, label in found
        ]
    }


def panel(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> tuple[str, tuple[Any, ...]]:
    """Phones, true and found, without pauses."""
    found = kind(head.kind).spans(head, answer, names, settings)
    row, known, pauses = answer.row, answer.target is not None, pauses_of(settings.data)
    timed = known and all(row.get(column) is not None for column in ("starts", "ends"))
    truth = zip(row["starts"], row["ends"], row[head.reads("")], strict=True) if timed else ()
    return "texts", tuple([span for span in some if span[2] not in pauses] for some in (truth, found))
