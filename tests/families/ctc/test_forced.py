"""Alignment with a whole model: an untrained one, whose outputs are put in by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from audiomtl.families.ctc import forced
from tests.families.ctc.test_said import made

PAUSE = "sil"  # of this corpus
VOCABULARY = (PAUSE, *(f"p{number}" for number in range(1, 11)))
HOP = 0.01


@pytest.fixture
def fitted():
    settings = SimpleNamespace(
        features=SimpleNamespace(seconds=lambda frames: HOP * frames),
        network=SimpleNamespace(time_reduction=2),
        data=SimpleNamespace(pauses=(PAUSE,)),
    )
    known = SimpleNamespace(vocabulary=VOCABULARY, mode="frames", said=None)
    return SimpleNamespace(settings=settings, known=known)


def clips(noise: float, *, times: bool = True) -> list:
    """Clips whose phones last four steps each; class 1 is the pause."""
    logits, phones = made(12, noise, 3)
    return [
        (
            SimpleNamespace(
                phones=[VOCABULARY[label - 1] for label in own],
                # a step stands for its middle: the first one lasts from -0.5 to 0.5 steps
                starts=np.maximum((4 * np.arange(len(own)) - 0.5) * 2 * HOP, 0) if times else np.zeros(0),
            ),
            output,
        )
        for own, output in zip(phones, logits, strict=True)
    ]


def test_boundaries_of_known_times_are_scored(fitted) -> None:
    scores = forced.boundary_scores(fitted, clips(0.1))
    assert scores["boundary_median_ms"] < 1e-6 and scores["boundary_within_10_ms"] > 0.9
    assert forced.boundary_scores(fitted, clips(0.1, times=False)) == {}


def test_phones_that_the_model_does_not_know_and_pauses_are_left_out(fitted) -> None:
    one, output = clips(0.1)[0]
    one.phones[1], one.phones[2] = "unheard", PAUSE
    [(_, own, starts)] = forced.texts_of(fitted, [(one, output)])
    kept = [number for number in range(len(one.phones)) if one.phones[number] in VOCABULARY[1:]]
    assert starts.tolist() == one.starts[kept].tolist() and 2 not in kept and len(own) == len(kept)


def test_probabilities_need_clips_with_different_texts(fitted) -> None:
    assert forced.calibrated(fitted, clips(1.0)) is not None
    assert forced.calibrated(fitted, clips(1.0)[:1]) is None and forced.calibrated(fitted, []) is None
