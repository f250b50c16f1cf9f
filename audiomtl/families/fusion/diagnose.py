"""What a network of modalities learns from a batch, for `audiomtl check --deep`. Contents: `learned`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiomtl.families.fusion.settings import Settings
from audiomtl.nn.doctor import Learned


def learned(settings: Settings, batch: Mapping[str, Any], outputs: Any) -> list[Learned]:
    """The class of each clip.

    Parameters
    ----------
    batch : modalities and labels (clips,), perhaps item_weights (clips,).
    outputs : {"clip_logits": (clips, classes), ...}.
    """
    answers, labels = np.asarray(outputs["clip_logits"]), np.asarray(batch["labels"])
    return [
        Learned(
            settings.data.label,
            "classes",
            labels if labels.ndim == 1 else labels.argmax(axis=1),  # shares of mixed clips
            answers,
            answers.shape[-1],
            "logits",
            weights=batch.get("item_weights"),
        )
    ]
