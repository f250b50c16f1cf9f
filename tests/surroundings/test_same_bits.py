"""Every family, whatever the surroundings: same scores, epoch by epoch, and same weights, bit for bit,
from real child processes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.surroundings.families import FAMILIES, PROJECT, raw_settings, sounds

pytestmark = pytest.mark.slow
DIES = [1, 1]  # in the second step of the second epoch


def job(name: str, family: str, folder: Path, clips: Path, dies: list[int] | None = None) -> dict[str, Any]:
    raw = raw_settings(family, clips)
    return {
        "name": f"{name} {family}",
        "raw": raw,
        "seed": 1,
        "folder": str(folder / name / family),
        "dies": dies,
    }


def driven(folder: Path, rounds: list[dict[str, Any]], **environment: str) -> dict[str, Any]:
    """What `drive` found, with ``folder`` as its current directory, for runs and for the cache."""
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps({"log": str(folder / "log.txt"), "rounds": rounds}))
    told = {"PYTHONPATH": str(PROJECT), "AUDIOMTL_CACHE": str(folder / "cache"), **environment}
    command = [sys.executable, "-m", "tests.surroundings.drive", str(folder / "plan.json")]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "plan.found.json").read_text())


# those with a loss, a decoder or a state of their own; the others take as long again
GROUPS = [
    pytest.param(("ctc", "multitask", "transfer"), id="first"),
    pytest.param(("baseline", "fusion", "mil"), id="second", marks=pytest.mark.long),
]


@pytest.fixture(scope="module", params=GROUPS)
def found(request, tmp_path_factory) -> dict[str, Any]:
    """Every family alone; and elsewhere, beside others, in another order, killed and begun again."""
    folder = tmp_path_factory.mktemp("surroundings")
    clips, here, there = sounds(folder / "sounds"), folder / "here", folder / "there"
    alone = [job("alone", family, here, clips) for family in request.param]
    # the baseline has no epochs
    other = [
        job("elsewhere", family, there, clips, None if family == "baseline" else DIES)
        for family in reversed(request.param)
    ]
    # as a cluster sets them
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    return driven(here, [{"slots": 1, "jobs": alone}], PYTHONHASHSEED="0") | driven(
        there, [{"slots": 2, "jobs": other}], PYTHONHASHSEED="1", **threads
    )


def epochs(told: list[Any]) -> list[Any]:
    """Scores of each epoch, which is told again when a training goes on."""
    by_number: dict[int, Any] = {}
    for number, scores in told:
        assert by_number.setdefault(number, scores) == scores
    return [by_number[number] for number in range(len(by_number))]


def test_the_bits_are_the_same(found) -> None:
    families = sorted(name.partition(" ")[2] for name in found if name.startswith("alone "))
    assert len(families) == len(GROUPS[0].values[0])
    for family in families:
        expected, mine = found[f"alone {family}"], found[f"elsewhere {family}"]
        assert expected["reasons"] == [], family
        assert epochs(mine["epochs"]) == epochs(expected["epochs"]), family
        for what in ("scores", "facts", "digest"):
            assert mine[what] == expected[what], (family, what)
        if family == "baseline":
            assert mine["reasons"] == []
            continue
        assert len(mine["reasons"]) == 1 and "killed by SIGKILL" in mine["reasons"][0] and mine["checkpoint"]
        # the first epoch was told again, not trained again
        assert [number for number, _ in mine["epochs"]] == [0, 0, 1, 2], family


def test_every_family_is_in_a_group() -> None:
    assert sorted(family for group in GROUPS for family in group.values[0]) == sorted(FAMILIES)
