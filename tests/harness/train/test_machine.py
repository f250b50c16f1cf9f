"""What a machine does to a study: its disk fills up or can only be read, its name changes, its clock is set, another
user shares its folder. Nothing is lost: the study tells it in one line, or goes on, and its trainings are those of an
undisturbed one. Part of ``make faults``.

As root, with the programs that each test names; skipped with the reason elsewhere.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.conftest import CODE, Project
from tests.harness.train.test_random_kills import trainings

pytestmark = [pytest.mark.slow, pytest.mark.faults]
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system or change a host name")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The trainings of the tiny study on a machine that lets it be."""
    with pytest.MonkeyPatch.context() as patch:
        whole = Project(tmp_path_factory.mktemp("undisturbed") / "project", patch)
        whole.run("study", "tiny", "--slots", "1")
        return trainings(whole)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Also while a process that was killed still holds files open: until it lets go of them."""
    while subprocess.run(["mount", "-o", f"remount,{options}", str(place)]).returncode:
        time.sleep(0.1)


def fill(place: Path) -> Path:
    """Write until nothing more fits."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def one_line(said: str, words: str) -> None:
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("audiomtl: ")]
    assert len(lines) == 1 and words in lines[0], said


def released(project: Any, process: subprocess.Popen[str]) -> str:
    """What a held study says until it ends; a training that is tried again is held again, and let go."""
    while process.poll() is None:
        (project.folder / "held").unlink(missing_ok=True)
        time.sleep(0.05)
    return process.communicate()[0]


def killed(project: Any, *before: str, **environment: str) -> None:
    """A study that is killed within its first training."""
    process = project.start_held("4:0", "study", "tiny", "--slots", "1", before=before, **environment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (project.folder / "held").unlink(missing_ok=True)


def stores(project: Any, disk: Path, what: str) -> dict[str, str]:
    """Let a part of what a study writes lie on a disk; returns the environment for it."""
    if what == "cache":
        return {"AUDIOMTL_CACHE": str(disk / "cache")}
    project.use_runs(disk / "runs")
    return {}


@root
@pytest.mark.parametrize("what", ["runs", "cache"])
def test_a_disk_that_fills_up_pauses_the_study(
    project: Any, disk: Path, undisturbed: dict[str, Any], what: str
) -> None:
    environment = stores(project, disk, what)
    process = project.start_held("4:0", "study", "tiny", "--slots", "1", **environment)
    filler = fill(disk)
    said = released(project, process)
    assert process.returncode == (1 if what == "runs" else 0), said  # a cache only makes things faster
    if what == "runs":
        one_line(said, "the disk is full: free some space, then run the same command again")
    filler.unlink()
    project.run("study", "tiny", "--slots", "1", **environment)
    assert trainings(project) == undisturbed


@root
@pytest.mark.parametrize("what", ["runs", "cache"])
def test_a_disk_that_can_only_be_read_is_told_and_loses_nothing(
    project: Any, disk: Path, undisturbed: dict[str, Any], what: str
) -> None:
    environment = stores(project, disk, what)
    killed(project, **environment)
    remount(disk, "ro")
    said = project.run("study", "tiny", "--slots", "1", code=1 if what == "runs" else 0, **environment)
    if what == "runs":
        one_line(said, "read-only")
    remount(disk, "rw")
    project.run("study", "tiny", "--slots", "1", **environment)
    assert trainings(project) == undisturbed


@root
def test_another_host_name_takes_over_what_was_killed(project: Any, undisturbed: dict[str, Any]) -> None:
    """As in a new container, or on a laptop that was renamed: the lease runs out and the training goes on."""
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.0")
    other = (
        "unshare",
        "--uts",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        'hostname elsewhere; exec "$@"',
        "sh",
    )
    killed(project, AUDIOMTL_LEASE_SECONDS="3")
    said = project.run("study", "tiny", "--slots", "1", before=other, AUDIOMTL_LEASE_SECONDS="3")
    assert "trial 0" in said and trainings(project) == undisturbed


def test_a_clock_that_is_set_back_and_forth_changes_nothing(
    project: Any, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """The clock of the study's processes alone: `time.time` says another time."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\noffset = int(os.environ['CLOCK']) * 86400\nnow, now_ns = time.time, time.time_ns\n"
        "time.time = lambda: now() + offset\ntime.time_ns = lambda: now_ns() + offset * 10**9\n"
    )

    def clock(days: int) -> dict[str, str]:
        return {"CLOCK": str(days), "PYTHONPATH": os.pathsep.join([str(tmp_path), CODE])}

    for days in (400, -2, 1):
        killed(project, **clock(days))
    project.run("study", "tiny", "--slots", "1", **clock(-30))
    assert trainings(project) == undisturbed


@root
def test_a_folder_of_another_user_is_told_in_one_line_and_shared_by_a_umask(
    undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One starts the study, another goes on with it."""
    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    for program in (Path(sys.executable).with_name("audiomtl"), Path(sys.executable).resolve()):
        if subprocess.run([*nobody, "cat", program], capture_output=True).returncode:
            pytest.skip(f"another user may not read {program}")
    with tempfile.TemporaryDirectory(prefix="audiomtl-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        project = Project(place / "project", monkeypatch)
        for folder in (place, project.folder):
            folder.chmod(0o777)
        environment = {"HOME": name, "AUDIOMTL_LEASE_SECONDS": "3"}
        killed(project, "sh", "-c", 'umask 077; exec "$@"', "sh", AUDIOMTL_CACHE=f"{name}/one", **environment)
        environment["AUDIOMTL_CACHE"] = f"{name}/other"
        said = project.run("study", "tiny", "--slots", "1", before=nobody, code=1, **environment)
        one_line(said, "permission")

        project.use_runs(place / "shared")
        project.runs.mkdir()
        project.runs.chmod(0o777)
        killed(
            project,
            "sh",
            "-c",
            'umask 000; exec "$@"',
            "sh",
            **environment | {"AUDIOMTL_CACHE": f"{name}/one"},
        )
        project.run("study", "tiny", "--slots", "1", before=nobody, **environment)
        assert trainings(project) == undisturbed
