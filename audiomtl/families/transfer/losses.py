"""The loss of a head: of clips or of their patches, of one class per clip or of several labels.

Conventions as in `model`. Contents: `loss`.
"""

from typing import Any

import tensorflow as tf

from audiomtl.families.transfer.settings import Settings
from audiomtl.nn import losses, tags


def loss(outputs: dict[str, Any], batch: dict[str, Any], settings: Settings) -> tf.Tensor:
    """Cross-entropy with the clips' targets, of tags the binary one, mean over classes: of clips, or of each
    patch, mean over a clip's patches, then over clips, weighted by item_weights (clips,) of the batch, if
    there are any.
    """
    targets, positive, weights = batch["targets"], batch.get("positive", 1.0), batch.get("item_weights")

    def each(logits: Any, own: Any) -> tf.Tensor:
        if settings.data.labels == "several":
            return tags.loss_of_logits(logits, own, positive)
        return losses.cross_entropy(logits, own)

    if settings.head.loss == "clip":
        return losses.of_items(each(outputs["clip_logits"], targets), weights)
    counts = batch["counts"]
    return losses.of_bags(each(outputs["patch_logits"], tf.repeat(targets, counts, axis=0)), counts, weights)
