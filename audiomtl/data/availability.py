"""Availability of an experiment's data on this machine. Contents: `require`, `embeddings_of`."""

from typing import Any

import pandas as pd

from audiomtl.data import catalog, fetch


def require(settings: Any) -> pd.DataFrame:
    """Generate or find the clips of an experiment, and the weights of its pretrained network.

    Returns
    -------
    The clip table.

    Raises
    ------
    MissingData : they are missing; the text names the expected folder and where they are published.
    """
    table = catalog.clips(settings.data)
    if hasattr(settings, "extractor") and settings.extractor.kind == "yamnet":
        fetch.weights(settings.extractor.weights)
    for weights in embeddings_of(settings).values():
        fetch.weights(weights)
    return table


def embeddings_of(settings: Any) -> dict[str, str]:
    """Setting ``weights`` of each modality that is YAMNet's embeddings of a sound, by name."""
    used = getattr(settings, "used", {})
    return {name: one.weights for name, one in used.items() if getattr(one, "embedded", False)}
