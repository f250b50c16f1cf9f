"""Availability of an experiment's data on this machine. Contents: `require`, `weights_of`."""

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
    for weights in weights_of(settings).values():
        fetch.weights(weights)
    return table


def weights_of(settings: Any) -> dict[str, str]:
    """Settings that name files of pretrained weights: ``weights``, and ``weights_NAME`` of each modality that
    is YAMNet's embeddings of a sound.
    """
    found = {}
    if hasattr(settings, "extractor") and settings.extractor.kind == "yamnet":
        found["weights"] = settings.extractor.weights
    if hasattr(settings, "network") and getattr(settings.network, "window", "") == "yamnet":
        found["weights"] = settings.network.weights
    for name, one in getattr(settings, "used", {}).items():
        if getattr(one, "embedded", False):
            found[f"weights_{name}"] = one.weights
    return found
