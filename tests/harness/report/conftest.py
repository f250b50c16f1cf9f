"""A store that is filled by hand: no training."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import markdown as report


class Store:
    """An MLflow store with hand-made runs of ``experiments/tiny.toml``."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.tracking = Tracking()

    def add(
        self,
        kind: str,
        seed: int,
        scores: Mapping[str, float],
        *,
        changes: Mapping[str, Any] | None = None,
        outcome: str = "complete",
        experiment: str = "tiny",
        code: str = "code1",
        commit: str = "1" * 40,
        data: str = "data1",
        **tags: str,
    ) -> str:
        """One run; a score of a list is a curve."""
        raw = config.override(config.load_experiment("tiny").raw, changes or {})
        every = {"kind": kind, "seed": str(seed), "ablation": "", "data": data, "code": code, **tags}
        run = self.tracking.start(experiment, f"{kind} {seed}", tags=every, description="")
        self.tracking.log_settings(run, raw, seed, data)
        client = self.tracking.client
        for key, value in {
            "commit": commit,
            "dirty": "false",
            "machine": "machine1",
            "outcome": outcome,
        }.items():
            client.set_tag(run, key, value)
        for key, value in scores.items():
            points = dict(enumerate(value, 1)) if isinstance(value, list) else {0: value}
            for step, point in points.items():
                client.log_metric(run, key, point, step=step)
        client.set_terminated(
            run, {"complete": "FINISHED", "answered": "FINISHED", "failed": "FAILED"}.get(outcome, "KILLED")
        )
        return run

    def best(self, seed: int, test: float, validation: float, **rest: Any) -> str:
        costs = {
            "cost/seconds": 60.0 * seed,
            "cost/cpu_seconds": 50.0,
            "cost/wall_seconds": 90.0,
            "cost/memory_megabytes": 300.0,
        }
        curves = {
            "train/loss": [3.0, 2.0 / seed],
            "validation/loss": [3.1, 2.5 / seed],
            "validation/error_rate": [0.9, validation],
        }
        scores = {
            "test/error_rate": test,
            "best/validation/error_rate": validation,
            "parameters": 1234,
            "best_epoch": 1,
        }
        return self.add("best", seed, {**scores, **costs, **curves}, **rest)

    def narrow(self, seed: int, validation: float, **rest: Any) -> str:
        given: dict[str, Any] = {"changes": {"network.units": 4}, "ablation": "narrow", **rest}
        return self.add("ablation", seed, {"best/validation/error_rate": validation}, **given)

    def trial(self, number: int, scores: Mapping[str, float], outcome: str, **rest: Any) -> str:
        given: dict[str, Any] = {"study": "tiny", "study_key": config.load_study("tiny").identity, **rest}
        return self.add("trial", 0, scores, outcome=outcome, trial=str(number), **given)

    def parent(self, **tags: str) -> str:
        file = config.load_study("tiny")
        params = {
            f"study.{path}": value
            for path, value in config.flatten(file.study.model_dump(exclude={"description"})).items()
        }
        every = {"kind": "study", "study": "tiny", "study_key": file.identity, **tags}
        run = self.tracking.start("tiny", "study tiny", tags=every, description="")
        self.tracking.log_params(run, params)
        return run

    def write(self, **options: Any) -> str:
        folder = self.project.folder / "out"
        report.write(options.pop("names", ["tiny"]), folder, options.pop("readme", None))
        return (folder / "report.md").read_text()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store without runs: making one takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_RUNS", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Tracking()
        yield folder


@pytest.fixture
def store(project: Any, empty: Path) -> Store:
    shutil.copytree(empty, project.runs)
    project.edit("experiments", "seeds = [1, 2]", "seeds = [1, 2, 3]")
    return Store(project)
