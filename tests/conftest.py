"""Sounds that anyone can picture, synthesised: one second at 16 kHz, float32, at most 0.5."""

import random
import sys
from collections import Counter
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest

from audiomtl import redaction
from tests import warm
from tests.services.fixtures import (  # noqa: F401  (fixtures of every test)
    _one_node,
    _two_nodes,
    mlflow_server,
    postgres,
    postgres_server,
    slurm,
    slurm_two_nodes,
)

# no example has a deadline and none is refused for taking long: a loaded machine changes no result
hypothesis.settings.register_profile(
    "any_load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_load")


def pytest_configure(config: pytest.Config) -> None:
    """Commands of the tests are forked from one process; see `tests.warm`."""
    within = warm.shared()
    within.__enter__()
    config.add_cleanup(lambda: within.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests first, so that of two processes neither is left alone with them."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _no_store_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes the address of the store that it was told into the environment."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run() -> None:
    """A test that draws without a seed of its own draws the same, whichever tests ran before it."""
    random.seed(0)
    np.random.seed(0)
    if (keras := sys.modules.get("keras")) is not None:
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _no_remembered_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that one test gives is no secret of the next: "hidden" is a word of the settings too."""
    monkeypatch.setattr(redaction, "_remembered", set())


RATE = 16000  # Hz
TIME = np.arange(RATE) / RATE  # (n_samples,) seconds

SOUNDS: dict[str, Callable[[], np.ndarray]] = {
    "silence": lambda: np.zeros(RATE, dtype=np.float32),
    "noise": lambda: np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32),
    "sine_440": lambda: (0.5 * np.sin(2 * np.pi * 440 * TIME)).astype(np.float32),
    # 100 Hz + 2 * 3450 Hz/s: to 7000 Hz
    "chirp": (lambda: (0.5 * np.sin(2 * np.pi * (100 * TIME + 3450 * TIME**2))).astype(np.float32)),
}


@pytest.fixture
def silence() -> np.ndarray:
    return SOUNDS["silence"]()


@pytest.fixture
def noise() -> np.ndarray:
    return SOUNDS["noise"]()


@pytest.fixture
def sine_440() -> np.ndarray:
    return SOUNDS["sine_440"]()


@pytest.fixture
def chirp() -> np.ndarray:
    return SOUNDS["chirp"]()


@pytest.fixture(params=sorted(SOUNDS))
def sound(request: pytest.FixtureRequest) -> np.ndarray:
    """Each of the sounds in turn."""
    return SOUNDS[request.param]()
