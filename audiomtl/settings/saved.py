"""Settings that an earlier version of audiomtl wrote, in the form of this one. Contents: `upgraded`."""

from collections.abc import Mapping
from typing import Any

BLOCKS = ("test_values", "validation_values", "rotations")


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a saved model under the names of this version.

    In version 0.1.0 an experiment of the CTC family named its blocks in ``[data]`` and had no table
    ``[protocol]``; the corpus of German sentences took from them which speakers and sentences it pairs.
    ``balancing.c`` was called ``balancing.caution``.
    """
    new = dict(raw)
    data = dict(raw.get("data", {}))
    if "protocol" not in raw and all(name in data for name in BLOCKS):
        blocks = {name: data.pop(name) for name in BLOCKS}
        groups = list(data["groups"])
        if data["dataset"] == "german_speech":
            paired = blocks["rotations"] == 1 and set(groups) == {"speaker", "sentence"}
            for group in ("speaker", "sentence"):
                index = groups.index(group) if paired else -1
                data[f"held_out_{group}s"] = [blocks[name][index] for name in BLOCKS[:2]] if paired else []
        new |= {"data": data, "protocol": {"kind": "blocks", **blocks}}
    if "caution" in raw.get("balancing", {}):
        balancing = dict(raw["balancing"])
        balancing["c"] = balancing.pop("caution")
        new["balancing"] = balancing
    return new
