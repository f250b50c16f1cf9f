"""What a head learns from a batch, for `audiomtl check --deep`. Contents: `learned`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiomtl.families.transfer.settings import Settings
from audiomtl.nn.doctor import Learned


def learned(settings: Settings, batch: Mapping[str, Any], outputs: Any) -> list[Learned]:
    """The class of each clip, of mixed clips the one with the larger share; or its tags.

    Parameters
    ----------
    batch : patches, counts and targets (clips, classes), perhaps item_weights (clips,).
    outputs : not looked at; targets may be mixtures.
    """
    targets, weights = np.asarray(batch["targets"]), batch.get("item_weights")
    if settings.data.labels == "several":
        return [Learned(settings.data.label, "tags", targets, None, targets.shape[1], weights=weights)]
    labels, classes = targets.argmax(axis=1), targets.shape[1]
    return [Learned(settings.data.label, "classes", labels, None, classes, weights=weights)]
