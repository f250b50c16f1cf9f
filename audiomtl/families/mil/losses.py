"""Losses of clips or of their windows, of one class per clip or of several labels (tags).

Conventions as in `model`: batches are those of `examples.training_batch`. Contents: `clip_loss`,
`window_loss`, `tag_loss`, `window_tag_loss`.
"""

from typing import Any

import tensorflow as tf

from audiomtl.nn import losses, tags


def clip_loss(outputs: dict[str, Any], batch: dict[str, Any], of_class: Any = None) -> tf.Tensor:
    """Cross-entropy of each clip's pooled answer, mean over clips.

    ``of_class`` (classes,) multiplies the loss of the clips of each class, ``item_weights`` (bags,) of the
    batch, if there are any, that of each clip.
    """
    each = losses.cross_entropy(outputs["clip_logits"], batch["labels"], of_class)
    return losses.of_items(each, batch.get("item_weights"))


def window_loss(outputs: dict[str, Any], batch: dict[str, Any], of_class: Any = None) -> tf.Tensor:
    """Cross-entropy of each window as if it had its clip's label.

    Mean over a clip's windows, then over clips.
    """
    labels = tf.repeat(batch["labels"], batch["counts"], axis=0)  # (n_windows,), or (n_windows, classes)
    each = losses.cross_entropy(outputs["window_logits"], labels, of_class)
    return losses.of_bags(each, batch["counts"], batch.get("item_weights"))


def tag_loss(outputs: dict[str, Any], batch: dict[str, Any], of_class: Any = None) -> tf.Tensor:
    """Binary cross-entropy of each clip's pooled answer, mean over classes, then over clips."""
    positive = 1.0 if of_class is None else of_class
    each = tags.loss_of_logits(outputs["clip_logits"], batch["labels"], positive)
    return losses.of_items(each, batch.get("item_weights"))


def window_tag_loss(outputs: dict[str, Any], batch: dict[str, Any], of_class: Any = None) -> tf.Tensor:
    """Binary cross-entropy of each window as if it had its clip's tags, mean over a clip's windows, then over
    clips.
    """
    labels = tf.repeat(batch["labels"], batch["counts"], axis=0)  # (n_windows, classes)
    positive = 1.0 if of_class is None else of_class
    each = tags.loss_of_logits(outputs["window_logits"], labels, positive)
    return losses.of_bags(each, batch["counts"], batch.get("item_weights"))
