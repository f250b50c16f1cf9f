"""The loss of a head: of clips or of their patches, of one class per clip or of several labels.

Conventions as in `model`. Contents: `loss`.
"""

from typing import Any

import tensorflow as tf

from audiomtl.families.transfer.settings import Settings
from audiomtl.nn import tags
from audiomtl.nn.softmax import SMALLEST


def loss(outputs: dict[str, Any], batch: dict[str, Any], settings: Settings) -> tf.Tensor:
    """Cross-entropy with the clips' targets: of clips, or of each patch, mean over a clip's patches, then
    over clips.
    """
    if settings.data.labels == "several":
        return _tag_loss(outputs, batch, settings)
    if settings.head.loss == "clip":
        return -tf.reduce_mean(
            tf.reduce_sum(batch["targets"] * tf.math.log(outputs["clip"] + SMALLEST), axis=1)
        )
    counts = batch["counts"]
    bag = tf.repeat(tf.range(tf.shape(counts)[0]), counts)  # (n_patches,)
    each = -tf.reduce_sum(
        tf.gather(batch["targets"], bag) * tf.math.log(outputs["patches"] + SMALLEST), axis=1
    )
    share = 1 / tf.cast(tf.gather(counts, bag), tf.float32)
    return tf.reduce_sum(each * share) / tf.cast(tf.shape(counts)[0], tf.float32)


def _tag_loss(outputs: dict[str, Any], batch: dict[str, Any], settings: Settings) -> tf.Tensor:
    """Binary cross-entropy, mean over classes; the rest as in `loss`."""
    targets, positive = batch["targets"], batch.get("positive", 1.0)
    if settings.head.loss == "patch":
        counts = batch["counts"]
        bag = tf.repeat(tf.range(tf.shape(counts)[0]), counts)  # (n_patches,)
        each = tags.loss_of_logits(outputs["patch_logits"], tf.gather(targets, bag), positive)
        share = 1 / tf.cast(tf.gather(counts, bag), tf.float32)
        return tf.reduce_sum(each * share) / tf.cast(tf.shape(counts)[0], tf.float32)
    if "clip_logits" in outputs:
        return tf.reduce_mean(tags.loss_of_logits(outputs["clip_logits"], targets, positive))
    return tf.reduce_mean(tags.loss_of_probabilities(outputs["clip"], targets, positive))
