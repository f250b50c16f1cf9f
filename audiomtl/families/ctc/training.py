"""What the CTC network is trained on and by: the batches of an epoch, and the losses.

Conventions: batches are pure functions of (settings, seed, epoch). Class 0 is the blank.

Contents: `batches`, `fragments`, `objectives`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.data import augmentation
from audiomtl.data.pipeline import batch_order
from audiomtl.data.scaling import Scaler
from audiomtl.families.ctc.examples import Clip, collate
from audiomtl.families.ctc.network import reduced
from audiomtl.families.ctc.settings import Settings
from audiomtl.nn import ctc

Objective = Callable[[keras.Model, Any], tf.Tensor]


# ---------------------------------------------------------------- batches


def batches(
    train: Sequence[Clip], scaler: Scaler, settings: Settings, seed: int
) -> Callable[[int], Iterator[dict[str, Any]]]:
    """epoch -> its batches: clips as the curriculum orders or cuts them, changed by the augmentation."""
    curriculum, chosen = settings.curriculum, settings.augmentation
    kind, until = (curriculum.kind, curriculum.epochs or 0) if curriculum else ("none", 0)
    reduction, size = settings.network.time_reduction, settings.training.batch_size

    def changed(one: Clip, epoch: int) -> Clip:
        variant = augmentation.drawn(chosen, seed=seed, epoch=epoch, clip=one.clip_id)
        one = one.variants.get(variant, one) if variant else one
        frames = augmentation.augmented(
            one.frames, chosen, settings.features, seed=seed, epoch=epoch, clip=one.clip_id
        )
        return replace(one, frames=frames)

    @cache
    def pieces() -> list[Clip]:
        assert curriculum is not None and curriculum.fragment_seconds is not None
        return [piece for one in train for piece in fragments(one, curriculum.fragment_seconds, settings)]

    def of_epoch(epoch: int) -> Iterator[dict[str, Any]]:
        early = epoch < until
        clips = pieces() if early and kind == "fragments" else list(train)
        lengths = [len(one.frames) for one in clips]
        order = batch_order(lengths, size, seed=seed, epoch=epoch)
        if early and kind == "short_first":
            ranked = np.argsort(lengths, kind="stable")
            order = [ranked[first : first + size] for first in range(0, len(ranked), size)]
        for indices in order:
            yield collate([changed(clips[index], epoch) for index in indices], scaler, reduction)

    return of_epoch


def fragments(one: Clip, seconds: float, settings: Settings) -> list[Clip]:
    """A clip cut at onsets of phones into pieces of at least ``seconds``; a clip without phone times, or of
    which a piece would have too few frames for its phones, stays whole.

    A piece begins on the network frame at its first phone's onset. Its sounds at other speeds are cut alike.
    """
    cut = _cut(one, seconds, settings)
    if len(cut) < 2:
        return [one]
    others = {
        variant: _cut(other, seconds / variant.factor, settings) for variant, other in one.variants.items()
    }
    return [
        replace(
            piece,
            variants={variant: own[number] for variant, own in others.items() if len(own) == len(cut)},
        )
        for number, piece in enumerate(cut)
    ]


def _cut(one: Clip, seconds: float, settings: Settings) -> list[Clip]:
    reduction = settings.network.time_reduction
    step = settings.features.seconds(reduction)
    places = [0]  # numbers of the phones that begin a piece
    for number, start in enumerate(one.starts):
        if start - one.starts[places[-1]] >= seconds and one.starts[-1] - start >= seconds:
            places.append(number)
    if len(places) < 2 or len(one.labels) != len(one.phones):
        return [one]
    begins = [0, *(round(float(one.starts[place]) / step) for place in places[1:])]
    found = []
    for first, end, begin, stop in zip(
        places,
        [*places[1:], len(one.phones)],
        begins,
        [*begins[1:], len(one.frame_labels)],
        strict=True,
    ):
        labels = one.labels[first:end]
        if not ctc.feasible(stop - begin, labels):
            return [one]
        found.append(
            replace(
                one,
                clip_id=f"{one.clip_id}#{first}",
                frames=one.frames[begin * reduction : stop * reduction],
                labels=labels,
                frame_labels=one.frame_labels[begin:stop],
                phones=one.phones[first:end],
                starts=np.maximum(one.starts[first:end] - begin * step, 0.0),
                variants={},
            )
        )
    return found


# ---------------------------------------------------------------- losses


def objectives(
    model: keras.Model, settings: Settings, vocabulary: Sequence[str]
) -> tuple[keras.Model, dict[str, Objective]]:
    """What is trained, and its loss when it learns by CTC ("ctc") or by frames ("frames").

    With ``network.frames_weight`` what is trained has a second output of the last recurrent layer: a softmax
    over the phones of every network frame. The loss then is that of CTC and, times the weight, the sum of the
    cross-entropies of a clip's frames (0 for a clip without phone times). The output is no part of ``model``.
    """
    network = settings.network
    smoothing = settings.augmentation.label_smoothing if settings.augmentation else 0.0

    def lengths(batch: Any) -> Any:
        return reduced(batch["lengths"], network.time_reduction)

    def by_ctc(model: keras.Model, batch: Any) -> tf.Tensor:
        logits = model([batch["frames"], batch["lengths"]], training=True)
        both = isinstance(logits, dict)
        output = logits["logits"] if both else logits
        each = ctc.ctc_loss(output, lengths(batch), batch["labels"], batch["label_lengths"])
        if smoothing:
            each = (1 - smoothing) * each + smoothing * _uniform(output, lengths(batch))
        if both:
            each += network.frames_weight * _of_frames(
                logits["frames"], lengths(batch), batch["frame_labels"]
            )
        return tf.reduce_mean(each)

    def by_frames(model: keras.Model, batch: Any) -> tf.Tensor:
        logits = model([batch["frames"], batch["lengths"]], training=True)
        output = logits["logits"] if isinstance(logits, dict) else logits
        each = ctc.frames_loss(output, lengths(batch), batch["frame_labels"])
        if smoothing:
            mean = _uniform(output, lengths(batch)) / tf.cast(tf.maximum(lengths(batch), 1), tf.float32)
            each = (1 - smoothing) * each + smoothing * mean
        if isinstance(logits, dict):  # the other output has a gradient all the same: zero
            each += 0.0 * tf.reduce_sum(logits["frames"])
        return tf.reduce_mean(each)

    objective: dict[str, Objective] = {"ctc": by_ctc, "frames": by_frames}
    if not network.frames_weight:
        return model, objective
    hidden = model.get_layer("logits").input
    frames = keras.layers.Dense(len(vocabulary), name="frame_logits")(hidden)  # no blank
    return keras.Model(model.inputs, {"logits": model.output, "frames": frames}, name="learned"), objective


def _of_frames(logits: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:  # (batch,)
    """Summed cross-entropy of a clip's frames; frames without a label (0) do not count."""
    labels = tf.cast(labels, tf.int32)[:, : tf.shape(logits)[1]]
    known = tf.sequence_mask(lengths, tf.shape(logits)[1]) & (labels > 0)
    logits = tf.where(known[:, :, None], tf.cast(logits, tf.float32), 0.0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(known, labels - 1, 0), logits)
    return tf.reduce_sum(losses * tf.cast(known, tf.float32), axis=1)


def _uniform(logits: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:  # (batch,)
    """Summed cross-entropy of a clip's frames with all classes alike, which smooths what CTC learns (Kim et
    al., 2018).
    """
    valid = tf.sequence_mask(lengths, tf.shape(logits)[1])
    logs = tf.nn.log_softmax(tf.where(valid[:, :, None], tf.cast(logits, tf.float32), 0.0))
    return -tf.reduce_sum(tf.reduce_mean(logs, axis=2) * tf.cast(valid, tf.float32), axis=1)
