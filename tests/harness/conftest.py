"""A project in a temporary folder around the tiny family of ``tests/lab``."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from audiomtl.harness.database import sqlite_url
from tests import warm
from tests.harness.databases import password_server  # noqa: F401  (a fixture)

LAB = Path(__file__).parents[1] / "lab"
PATIENCE = 1800.0  # seconds until what hangs is given up: no measure, a loaded machine must not come near it
CODE = warm.CODE


class Project:
    """A folder with ``experiments/tiny.toml`` and ``studies/tiny.toml``, and the command run in it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        for kind, source in (("experiments", "tiny.toml"), ("studies", "tiny_study.toml")):
            (folder / kind).mkdir(parents=True)
            (folder / kind / "tiny.toml").write_text((LAB / source).read_text())
        for name in ("AUDIOMTL_CACHE", "MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(LAB))
        self.use_runs(folder / "runs")

    def use_runs(self, folder: Path) -> None:
        """Where the command and the test keep and look for runs from now on."""
        self.runs = folder
        self._patch.setenv("AUDIOMTL_RUNS", str(folder))

    def edit(self, kind: str, old: str, new: str) -> None:
        path = self.folder / kind / "tiny.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def start(
        self, *arguments: str, before: Sequence[str] = (), cold: bool = False, **environment: str
    ) -> warm.Command | subprocess.Popen[str]:
        """The real command, in a process group of its own; ``before`` stands in front of it (``nice``).

        It is forked from `tests.warm`, unless it is to be ``cold``: an interpreter that has yet to import.
        """
        whole = {**os.environ, "PYTHONPATH": CODE, **environment}
        if not cold and not before and warm.can_start(whole):
            return warm.start(arguments, self.folder, whole)
        return subprocess.Popen(
            [*before, str(warm.SCRIPT), *arguments],
            cwd=self.folder,
            env=whole,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        *arguments: str,
        code: int = 0,
        before: Sequence[str] = (),
        cold: bool = False,
        **environment: str,
    ) -> str:
        process = self.start(*arguments, before=before, cold=cold, **environment)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, output
        return output

    def start_held(
        self, place: str, *arguments: str, before: Sequence[str] = (), **environment: str
    ) -> warm.Command | subprocess.Popen[str]:
        """The command, when a training of it stands still before batch B of epoch E; ``place`` is "E:B"."""
        held = self.folder / "held"
        held.unlink(missing_ok=True)
        process = self.start(*arguments, before=before, TINYLAB_HOLD=f"{place}:{held}", **environment)
        while not held.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        return process

    def run_killed(self, patch: str, *arguments: str) -> None:
        """The command with its worker killed (SIGKILL) inside: ``patch`` is Python that calls ``die()``
        where it should happen.
        """
        code = (
            f"import os, signal\ndef die(): os.killpg(0, signal.SIGKILL)\n{patch}\nfrom audiomtl import"
            " cli\ncli.main()"
        )
        process = warm.start(arguments, self.folder, {**os.environ, "PYTHONPATH": CODE}, code)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == -9, output

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Trials of its one study."""
        url = sqlite_url(self.runs / "optuna.db")
        [name] = optuna.study.get_all_study_names(url)
        return optuna.load_study(study_name=name, storage=url).trials

    def summary(self) -> list[tuple]:
        """What must be equal in two runs of a study."""
        return [
            (trial.number, trial.state.name, trial.params, trial.value, trial.intermediate_values)
            for trial in self.trials()
        ]

    def tracking(self):
        """Its MLflow store."""
        from audiomtl.harness.record.store import Tracking

        return Tracking()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path / "project", monkeypatch)


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory) -> list[tuple]:
    """Summary of the study as it is, never interrupted, with one slot."""
    with pytest.MonkeyPatch.context() as patch:
        whole = Project(tmp_path_factory.mktemp("whole") / "project", patch)
        # forked like others; `train.test_workers` compares a forked command with an interpreter of its own
        whole.run("study", "tiny", "--slots", "1")
        return whole.summary()
