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
    batch : modalities and labels (clips,). outputs : probabilities (clips, classes).
    """
    answers = np.asarray(outputs)
    return [
        Learned(
            settings.data.label,
            "classes",
            np.asarray(batch["labels"]),
            answers,
            answers.shape[-1],
            "probabilities",
        )
    ]
