"""ctc: the phones of a clip in order, without times, by connectionist temporal classification.

A clip needs its transcript only, so that clips with and without phone times can be trained together: the ones
by a head of kind phones, all of them by this one. An output is (steps, 1 + phones) of logits, the blank
first. Pauses are no labels: the blank is said there.

Scores: error_rate: runs of the likeliest class, blanks left out, or the best transcript (``decoding.HEAD``),
against the phones, no pauses; greedy_error_rate: without the decoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
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
    "decoder_from_json",
    "decoder_to_json",
    "fit_decoder",
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

ABOUT = About(
    scores=("error_rate", "greedy_error_rate"),
    minimized=("error_rate", "greedy_error_rate"),
    slow=("greedy_error_rate",),
    column="phones",
    produces="phones",
    decoders=("beam",),
)
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

    if isinstance(outputs, np.ndarray):  # an evaluation, clip by clip; a graph takes a sixth of the time
        outputs, weight = tf.cast(outputs, tf.float32), tf.cast(weight, tf.float32)
        return _graph()(outputs, tf.cast(target, tf.int32), weight, tf.cast(steps, tf.int32))
    return _loss(outputs, target, weight, steps)


@cache
def _graph() -> Any:
    import tensorflow as tf

    shapes = ((None, None, None), tf.float32), ((None, None), tf.int32), ((None,), tf.float32)
    return tf.function(_loss, input_signature=[tf.TensorSpec(*own) for own in (*shapes, ((None,), tf.int32))])


def _loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
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
    """Runs of the likeliest class, or the best transcript in its best alignment; a phone lasts until the next
    one begins, but at most `EXTENSION_SECONDS` longer than its run.
    """
    times = step_times(answer.n_frames, settings)
    half = settings.step_seconds / 2
    numbers, firsts, lasts = _heard(answer)
    starts = times[firsts] - half
    ends = np.minimum(times[lasts] + half + EXTENSION_SECONDS, np.append(starts[1:], np.inf))
    ends = np.minimum(ends, times[-1] + half) if len(ends) else ends
    phones = [names[number - 1] for number in numbers]
    return list(zip(starts.tolist(), ends.tolist(), phones, strict=True))


def _heard(answer: Answer) -> tuple[Sequence[int], np.ndarray, np.ndarray]:
    """Number, first and last step of each phone."""
    if answer.decoder is not None:
        from audiomtl.nn.decoding import prefixes

        [transcript] = answer.decoder.transcripts([answer.output])
        firsts, behind = prefixes.times(answer.output, transcript)
        return transcript, firsts, behind - 1
    best = answer.output.argmax(axis=1)
    firsts = np.flatnonzero(np.diff(best, prepend=-1))
    lasts = np.append(firsts[1:] - 1, len(best) - 1)
    kept = best[firsts] != BLANK
    return best[firsts[kept]].tolist(), firsts[kept], lasts[kept]


def fit_decoder(
    name: str,
    head: Any,
    decoding: Any,
    train: Sequence[Answer],
    validation: Sequence[Answer],
    names: Sequence[str],
    settings: Any,
) -> Any:
    """An n-gram of the phones of the train split, and numbers by the error rate on the validation split."""
    from audiomtl.nn.decoding import prefixes

    def judge(decoder: prefixes.PrefixDecoder) -> float:
        if not validation:
            return 0.0  # nothing to choose on: the first of the candidates
        return _error_rate(head, [replace(one, decoder=decoder) for one in validation], names, settings)

    return prefixes.fit(decoding, names, [_said(head, one, settings) for one in train], judge)


def decoder_to_json(decoder: Any) -> dict[str, Any]:
    from audiomtl.nn.decoding import prefixes

    return prefixes.to_json(decoder)


def decoder_from_json(saved: Mapping[str, Any]) -> Any:
    from audiomtl.nn.decoding import prefixes

    return prefixes.from_json(saved)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    total = {"error_rate": _error_rate(head, answers, names, settings)}
    if every_score and any(one.decoder is not None for one in answers):
        undecoded = [replace(one, decoder=None) for one in answers]
        total["greedy_error_rate"] = _error_rate(head, undecoded, names, settings)
    return total


def _error_rate(head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any) -> float:
    found = [[names[number - 1] for number in _numbers(one)] for one in answers]
    return error_rate([_said(head, one, settings) for one in answers], found)


def _numbers(answer: Answer) -> Sequence[int]:
    """Number of each phone that is heard; without their steps, which take longer to find."""
    if answer.decoder is None:
        return _heard(answer)[0]
    [transcript] = answer.decoder.transcripts([answer.output])
    return list(transcript)


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """edits and phones (the reference length, without pauses)."""
    found = [names[number - 1] for number in _numbers(answer)]
    counts = edit_counts([_said(head, answer, settings)], [found])
    length = counts.pop("reference_length")
    return {f"{name}_edits": float(sum(counts.values())), f"{name}_phones": float(length)}


def _said(head: Any, answer: Answer, settings: Any) -> list[str]:
    pauses = pauses_of(settings.data)
    return [phone for phone in answer.row[head.reads("")] if phone not in pauses]
