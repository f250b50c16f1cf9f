"""A study that is killed at random instants, over and over: nothing is lost, doubled or changed.

``FAULT_KILLS`` says how often (50). Part of ``make faults``.
"""

import os
import random
import signal
import time
import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = int(os.environ.get("FAULT_KILLS", "50"))
LONGEST = 12.0  # seconds until a kill: from before the first line until trials have ended


def trainings(project: Any) -> dict[str, Any]:
    """Of every trial: settings, end, hash of the final weights, scores of every epoch with steps, single scores."""
    tracking, found = project.tracking(), {}
    for run in tracking.runs("tiny", "tags.kind = 'trial'"):
        number = run.data.tags["trial"]
        assert number not in found, f"trial {number} has two runs"
        metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith("cost/")}
        curves = {key: tracking.history(run.info.run_id, key) for key in ("train/loss", "validation/loss")}
        found[number] = (
            run.data.params,
            run.info.status,
            run.data.tags.get("outcome"),
            run.data.tags.get("weights"),
            metrics,
            curves,
        )
    return found


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_kills_at_random_instants_lose_and_double_nothing(
    project: Any,
    tmp_path: Any,
    request: pytest.FixtureRequest,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.05")
    project.edit("studies", "trials = 5", "trials = 8")
    project.use_runs(tmp_path / "undisturbed")
    project.run("study", "tiny", "--slots", "1")
    undisturbed = trainings(project)
    assert sorted(map(int, undisturbed)) == list(range(8))

    chance, killed, studies = random.Random(7), 0, 0
    while killed < KILLS:  # a study ends after some kills: another one begins, on new stores
        studies += 1
        project.use_runs(tmp_path / f"killed {studies}")
        if database == "postgresql":
            server = request.getfixturevalue("postgres_server")
            monkeypatch.setenv("AUDIOMTL_STORAGE", server.create(f"test_{uuid.uuid4().hex[:12]}"))
        ended = False
        while killed < KILLS and not ended:
            process = project.start("study", "tiny", "--slots", "1", cold=True)
            time.sleep(chance.uniform(0.0, LONGEST))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            said, _ = process.communicate()
            assert "Traceback" not in said, said
            ended = process.returncode == 0
        project.run("study", "tiny", "--slots", "1")
        after = trainings(project)
        assert after == undisturbed
        for _, _, outcome, weights, _, curves in after.values():
            assert outcome in ("complete", "pruned") and len(weights) == 64
            assert all(
                [step for step, _ in curve] == list(range(1, len(curve) + 1)) for curve in curves.values()
            )
        assert not project.tracking().runs("tiny", "attributes.status = 'RUNNING'")
        assert not list(project.runs.glob("checkpoints/*")) and not list(project.runs.glob("staging/*"))
    print(f"{database}: {killed} kills in {studies} studies")
