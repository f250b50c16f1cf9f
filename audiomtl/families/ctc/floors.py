"""Floors and ceilings of the scores of phones: what can be answered without listening.

``phone_error_rate``: nothing, or one sequence of train to every clip; ``frame_accuracy``: the most frequent
phone in every frame. The ceiling of the error rate is an oracle: it knows which sentence is spoken and
answers with another speaker's transcript of it. A network may beat it, where people speak differently.

Contents: `floors`, `ceilings`.
"""

from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, protocols, text
from audiomtl.data import floors as common
from audiomtl.data.features import frame_times
from audiomtl.data.pauses import pauses_of
from audiomtl.data.store import FeatureStore
from audiomtl.metrics.sequences import without

FREQUENT = "most frequent phone"
COPIED = "copied transcript (an oracle that knows the sentence)"


def floors(settings: Any, table: pd.DataFrame, seed: int, sound: common.Sound | None) -> common.Scores:
    """By split, score and floor; see `audiomtl.harness.floors`."""
    sides = protocols.divide(_transcribed(table, settings), settings.data, settings.protocol, seed).sides()
    spoken = {side: without(list(rows["phones"]), pauses_of(settings.data)) for side, rows in sides.items()}
    found: common.Scores = {}
    for side in common.JUDGED:
        found[side] = {"phone_error_rate": common.of_phones(spoken["train"], spoken[side])}
        if all(len(starts) for part in ("train", side) for starts in sides[part]["starts"]):
            train, own = _frames(sides["train"], settings), _frames(sides[side], settings)
            names, counts = np.unique(train, return_counts=True)
            most = names[np.argmax(counts)]
            found[side]["frame_accuracy"] = {
                common.CHANCE: 1 / len(names),
                FREQUENT: float(np.mean(own == most)),
            }
    return found


def ceilings(settings: Any, table: pd.DataFrame, seed: int) -> common.Scores:
    """The copied transcript, where the data set can tell which sentence a clip is."""
    copied = getattr(catalog.module(settings.data), "copy_baseline", None)
    if copied is None:
        return {}
    known = _transcribed(table, settings)
    sides = protocols.divide(known, settings.data, settings.protocol, seed)
    return {"test": {"phone_error_rate": {COPIED: copied(known, sides.test)}}}


def _transcribed(table: pd.DataFrame, settings: Any) -> pd.DataFrame:
    found = text.checked(text.with_phones(table, settings.text))
    return found[~text.untranscribed(found)].reset_index(drop=True)


def _frames(rows: pd.DataFrame, settings: Any) -> np.ndarray:
    """The phone of every frame of some clips, one clip after another."""
    store = FeatureStore(catalog.cache_folder() / "features")
    found = []
    for frames, phones, starts in zip(
        store.features(list(rows["path"]), settings.features), rows["phones"], rows["starts"], strict=True
    ):
        times = frame_times(len(frames), settings.features)[:: settings.network.time_reduction]
        places = np.clip(np.searchsorted(np.asarray(starts, float), times, side="right") - 1, 0, None)
        found.append(np.asarray(phones, dtype=object)[np.minimum(places, len(phones) - 1)].astype(str))
    return np.concatenate(found)
