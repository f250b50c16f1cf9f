"""What the outputs of each family learn from a batch, as `check --deep` sees it: batches written by hand."""

import importlib
from types import SimpleNamespace as Settings
from typing import Any

import numpy as np
import pytest

from audiomtl.nn.doctor.outputs import of_labels

LENGTHS = np.array([6, 4])  # frames
LOGITS = np.zeros((2, 3, 5), np.float32)  # (clips, network frames, classes): every second frame
HALF = np.full((2, 3), 1 / 3, np.float32)
DATA = Settings(label="class", labels="one")


def ctc(objective: str = "ctc") -> Any:
    return Settings(network=Settings(time_reduction=2, objective=objective))


def multitask(**weights: float) -> Any:
    return Settings(heads={name: Settings(weight=weight) for name, weight in weights.items()})


def heads(weight: list[float]) -> dict[str, np.ndarray]:
    return {
        "target_genre": np.array([1, 2], np.int32),
        "weight_genre": np.ones(2),
        "target_notes": np.zeros((2, 3, 4), np.float32),
        "weight_notes": np.array(weight),
    }


PHONES = {
    "lengths": LENGTHS,
    "label_lengths": np.array([2, 1]),
    "frame_labels": np.array([[1, 1, 2], [3, 3, 0]]),
}
ANSWERS = {"genre": HALF, "notes": np.zeros((2, 3, 4))}
BAGS = {"labels": np.array([1, 2]), "counts": np.array([2, 1])}
CASES: dict[str, tuple[str, Any, dict[str, Any], Any, list[str]]] = {
    "phones that fit": ("ctc", ctc(), PHONES | {"labels": np.array([[1, 2], [3, 0]])}, LOGITS, []),
    "a repeat that does not": (
        "ctc",
        ctc(),
        PHONES | {"labels": np.array([[1, 1], [3, 3]]), "label_lengths": np.array([2, 2])},
        LOGITS,
        ["labels do not fit into the frames"],
    ),
    "phones of frames": ("ctc", ctc("frames"), PHONES, LOGITS, []),
    "heads": ("multitask", multitask(genre=1.0, notes=1.0), heads([1.0, 0.0]), ANSWERS, []),
    "a head without labels": (
        "multitask",
        multitask(genre=1.0, notes=1.0),
        heads([0.0, 0.0]),
        ANSWERS,
        ["no labels"],
    ),
    "a head that is not trained": (
        "multitask",
        multitask(genre=1.0, notes=0.0),
        heads([0.0, 0.0]),
        ANSWERS,
        [],
    ),
    "bags": (
        "mil",
        Settings(data=DATA, network=Settings(loss="clip")),
        BAGS,
        {"clip_logits": HALF, "window_logits": None},
        [],
    ),
    "windows": (
        "mil",
        Settings(data=DATA, network=Settings(loss="window")),
        BAGS,
        {"clip_logits": HALF, "window_logits": np.full((3, 3), 1 / 3)},
        [],
    ),
    "mixed targets": (
        "transfer",
        Settings(data=DATA),
        {"targets": np.array([[0.7, 0.3], [0.2, 0.8]])},
        None,
        [],
    ),
    "one class": (
        "transfer",
        Settings(data=DATA),
        {"targets": np.tile([1.0, 0.0], (8, 1))},
        None,
        ["classes are missing"],
    ),
    "modalities": ("fusion", Settings(data=DATA), {"labels": np.array([0, 2])}, {"clip_logits": HALF}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_outputs_learn(case):
    family, settings, batch, outputs, names = CASES[case]
    learned = importlib.import_module(f"audiomtl.families.{family}.diagnose").learned(
        settings, batch, outputs
    )
    assert [finding.name for finding in of_labels([learned])] == names
    assert len(learned) == (0 if case == "phones of frames" else 1) or family == "multitask"
    assert all(one.answers is None or len(one.answers) == len(one.labels) for one in learned)


def test_heads_of_weight_0_are_idle():
    idle = importlib.import_module("audiomtl.families.multitask.diagnose").idle
    assert idle(multitask(genre=1.0, notes=0.0)) == ["notes"]
