"""Settings of the multi-task family for tests: a shipped experiment with other heads and changed settings."""

from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.families.multitask.settings import Settings
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[1]
HEAD = {
    "column": "",
    "weight": 1.0,
    "train_only": False,
    "labelled_share": 1.0,
    "item_weight": "",
    "threshold": 0.5,
}
# a head of each kind
KINDS = {
    "text": {"kind": "alignment"},
    "phones": {"kind": "phones"},
    "melody": {"kind": "melody"},
    "voice": {"kind": "notes", "threshold": 0.4},
    "vocals": {"kind": "mel", "column": "vocals_path"},
    "event": {"kind": "clip_class"},
    "activity": {"kind": "segments"},
    "age": {"kind": "value", "column": "age"},
    "labels": {"kind": "tags", "column": "tags"},
}


def settings(
    experiment: str = "multitask_singing", heads: Any = None, scores: Any = None, **changes: Any
) -> Settings:
    """``heads``: {name: what differs from `HEAD`}, in place of the file's.

    Keyword ``a__b`` is the setting path a.b.
    """
    raw = whole_settings(experiment)
    if heads is not None:
        raw["heads"] = {name: {**HEAD, **head} for name, head in heads.items()}
        raw["coupling"], raw["decoding"], raw["scores"] = {}, {}, {"loss": "minimize"}
        raw["inputs"]["text"] = (
            "phones" if any(head["kind"] == "alignment" for head in heads.values()) else ""
        )
    raw["scores"] = scores or raw["scores"]
    for path, value in changes.items():
        *tables, key = path.split("__")
        inner = raw
        for table in tables:
            inner = inner[table]
        inner[key] = value
    return config.settings_of(raw, "test")


def grid(*pools: int, **heads: Any) -> Settings:
    """Settings with frames of 0.1 s."""
    pools = pools or (1, 1)
    small = {
        "features__hop_seconds": 0.1,
        "features__window_seconds": 0.1,
        "encoder__pool_frames": pools,
        "data__label": "event",
    }
    # text is an input and, of another head, a target
    return settings(heads=heads or KINDS, inputs__allow_leak=True, **small)
