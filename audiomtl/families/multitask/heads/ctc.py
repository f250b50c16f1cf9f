"""ctc: the phones of a clip in order, without times, by connectionist temporal classification.

A clip needs its transcript only, so that clips with and without phone times can be trained together: the ones
by a head of kind phones, all of them by this one. An output is (steps, 1 + phones) of logits, the blank
first. Pauses are no labels: the blank is said there.

Scores: error_rate: runs of the likeliest class, blanks left out, against the phones, no pauses.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.data.pauses import pauses_of
from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import About, Answer, Spans
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads.phones import panel, rows
from audiomtl.families.multitask.steps import step_times
from audiomtl.metrics.sequences import edit_counts, error_rate

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
    "probabilities",
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(scores=("error_rate",), minimized=("error_rate",), column="phones", produces="phones")
BLANK = 0
EXTENSION_SECONDS = 0.15  # of a phone behind its own last step, until the next one begins


def classes(name: str, head: Any, train: "pd.DataFrame", settings: Any) -> tuple[str, ...]:
    column = train[head.reads("")].dropna()
    return tuple(sorted({phone for phones in column for phone in phones} - pauses_of(settings.data)))


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:  # (labels,)
    """Numbers of the phones, 1.., without pauses and those that no train clip has."""
    numbers = {phone: number for number, phone in enumerate(names, start=1)}
    found = np.array([numbers[phone] for phone in row[head.reads("")] if phone in numbers], np.int32)
    steps, needed = len(step_times(n_frames, settings)), len(found) + int(np.sum(found[1:] == found[:-1]))
    if needed > steps:
        raise UserError(
            f"heads.{name}: clip {row['clip_id']}: {needed} phones (and repeats) are more than the"
            f" recording's {steps} steps ({settings.step_seconds:.3f} s each); shorten"
            " features.hop_seconds or encoder.pool_frames, or leave the clip out"
        )
    return found


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    """(clips, labels) with -1 behind a clip's own; a clip without transcript has -1 alone."""
    longest = max([1, *(len(one) for one in targets if one is not None)])
    found = np.full((len(targets), longest), -1, np.int32)
    for row, one in zip(found, targets, strict=True):
        row[: 0 if one is None else len(one)] = () if one is None else one
    return found


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

    return layers.Dense(classes + 1, name=layer)(steps)


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """The CTC loss of each clip over its number of phones."""
    import tensorflow as tf

    from audiomtl.families.multitask import losses
    from audiomtl.nn.ctc import ctc_loss

    target, weight = tf.convert_to_tensor(target), tf.cast(weight, tf.float32)
    count = tf.reduce_sum(tf.cast(target >= 0, tf.int32), axis=1)
    # a clip without transcript, whose loss is not counted, gets one phone: no label at all is slow
    absent = (weight <= 0) & (count == 0)
    target = tf.where(absent[:, None], 1, target)
    labels = tf.where(absent, 1, count)

    # the balancing's tape is persistent, and would also record what `ctc_loss` chooses between: its gradient
    # is taken here, by a tape that is not
    @tf.custom_gradient
    def of_clips(logits: Any) -> Any:
        logits = tf.stop_gradient(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            found = ctc_loss(logits, steps, target, labels)
        gradient = tape.gradient(found, logits)  # (clips, steps, classes): a clip's loss depends on it alone
        return found, lambda upstream: upstream[:, None, None] * gradient

    each = of_clips(tf.cast(outputs, tf.float32))
    each /= tf.cast(tf.maximum(count, 1), tf.float32)
    return losses.over_clips(each, tf.ones_like(each), weight)


def probabilities(output: np.ndarray) -> np.ndarray:  # (steps, 1 + phones)
    from scipy.special import softmax

    return softmax(np.asarray(output, np.float64), axis=-1).astype(np.float32)


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Runs of the likeliest class; a phone lasts until the next one begins, but at most `EXTENSION_SECONDS`
    longer than its run.
    """
    times = step_times(answer.n_frames, settings)
    best = answer.output.argmax(axis=1)
    half = settings.step_seconds / 2
    firsts = np.flatnonzero(np.diff(best, prepend=-1))
    lasts = np.append(firsts[1:] - 1, len(best) - 1)
    kept = best[firsts] != BLANK
    firsts, lasts = firsts[kept], lasts[kept]
    starts = times[firsts] - half
    ends = np.minimum(times[lasts] + half + EXTENSION_SECONDS, np.append(starts[1:], np.inf))
    ends = np.minimum(ends, times[-1] + half) if len(ends) else ends
    phones = [names[number - 1] for number in best[firsts]]
    return list(zip(starts.tolist(), ends.tolist(), phones, strict=True))


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    found = [[phone for _, _, phone in spans(head, one, names, settings)] for one in answers]
    return {"error_rate": error_rate([_said(head, one, settings) for one in answers], found)}


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """edits and phones (the reference length, without pauses)."""
    found = [phone for _, _, phone in spans(head, answer, names, settings)]
    counts = edit_counts([_said(head, answer, settings)], [found])
    length = counts.pop("reference_length")
    return {f"{name}_edits": float(sum(counts.values())), f"{name}_phones": float(length)}


def _said(head: Any, answer: Answer, settings: Any) -> list[str]:
    pauses = pauses_of(settings.data)
    return [phone for phone in answer.row[head.reads("")] if phone not in pauses]
