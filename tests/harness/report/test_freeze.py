"""A study in one file: complete, described, the same bytes each time, and rebuilt from."""

import json
import zipfile
from pathlib import Path

import pytest

from audiomtl.cli import verify
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import crate
from audiomtl.harness.train.child import Result
from audiomtl.harness.verify import run as rebuilding
from tests.command import run
from tests.harness.conftest import Project

pytestmark = pytest.mark.slow

ACKNOWLEDGED = 'acknowledged = ["small_validation"]'
REFERENCE = """
[[reference]]
score = "test/error_rate"
number = 0.1
protocol = "ten folds"
source = "A paper"
comparable = false
why = "other folds"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A project with best runs and an ablation."""
    with pytest.MonkeyPatch.context() as patch:
        project = Project(tmp_path_factory.mktemp("frozen") / "project", patch)
        project.edit("experiments", "epochs = 6", "epochs = 2")
        path = project.folder / "experiments" / "tiny.toml"
        path.write_text(f"{ACKNOWLEDGED}\n{path.read_text()}{REFERENCE}")
        (project.folder / "requirements.lock").write_text("keras==3\n")
        project.run("best", "tiny", "--slots", "2")
        project.run("ablations", "tiny", "--slots", "2")
        return project.folder


@pytest.fixture
def here(trained, monkeypatch) -> Path:
    monkeypatch.chdir(trained)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "lab"))
    monkeypatch.setenv("AUDIOMTL_RUNS", str(trained / "runs"))
    for name in ("AUDIOMTL_CACHE", "MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(verify, "quiet_tensorflow", lambda: None)
    return trained


def frozen(here: Path, monkeypatch, capsys, name: str = "study.zip") -> Path:
    code, out, err = run(monkeypatch, capsys, "report", "tiny", "--freeze", name)
    assert code == 0 and f"{name}: 4 trainings of tiny, " in out, err
    return here / name


def test_a_frozen_study_has_all_that_its_numbers_need_and_the_same_bytes(here, monkeypatch, capsys) -> None:
    place = frozen(here, monkeypatch, capsys)
    assert place.read_bytes() == frozen(here, monkeypatch, capsys, "again.zip").read_bytes()
    with zipfile.ZipFile(place) as archive:
        names = set(archive.namelist())
        runs = json.loads(archive.read("runs.json"))
        graph = {one["@id"]: one for one in json.loads(archive.read(crate.METADATA))["@graph"]}
        assert {one["tags"]["kind"] for one in runs} == {"best", "ablation"}
    assert {"experiment.toml", "requirements.lock", "data.json", "report/report.md"} <= names
    for one in runs:
        files = {
            f"runs/{one['key']}/{name}"
            for name in ("settings.toml", "history.json", "predictions_validation.parquet")
        }
        assert files <= names and one["scores"] and len(one["tags"]["commit"]) in (4, 40)
    # what RO-Crate 1.1 requires
    assert graph[crate.METADATA]["about"] == {"@id": "./"}
    assert graph[crate.METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = graph["./"]
    assert root["@type"] == "Dataset" and root["license"]["@id"] in graph
    assert all(root[key] for key in ("name", "description", "datePublished"))
    assert {one["@id"] for one in root["hasPart"]} == names - {crate.METADATA}
    assert all(graph[name]["@type"] == "File" and graph[name]["sha256"] for name in names - {crate.METADATA})


def test_a_frozen_study_is_rebuilt_and_what_was_changed_in_it_is_named(here, monkeypatch, capsys) -> None:
    place = frozen(here, monkeypatch, capsys)
    with zipfile.ZipFile(place) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    scores = {one["name"]: one["scores"] for one in json.loads(files["runs.json"])}
    weights = {one["name"]: one["tags"]["weights"] for one in json.loads(files["runs.json"])}

    def training(jobs, *_, **__) -> dict[str, Result]:
        return {
            job.name: Result(
                False,
                {name.removeprefix("best/"): value for name, value in scores[job.name].items()},
                *(0, 1, 0.0, 0.0, 1),
                weights=weights[job.name],
            )
            for job in jobs
        }

    monkeypatch.setattr(rebuilding, "train_again", training)

    def verified(*, described: bool = True, **changes: bytes) -> tuple[int, str]:
        parts = {name: value for name, value in files.items() if name != crate.METADATA}
        parts |= {name: changes[key] for name in parts for key in changes if Path(name).stem == key}
        if described:  # as somebody would who knows the format
            ended = crate.datetime(2026, 1, 1)
            crate.write(here / "changed.zip", "tiny", "changed", parts, ended)
        else:
            with zipfile.ZipFile(here / "changed.zip", "w") as archive:
                for name, value in {**parts, crate.METADATA: files[crate.METADATA]}.items():
                    archive.writestr(name, value)
        code, out, _ = run(monkeypatch, capsys, "verify", "changed.zip")
        return code, out

    code, out = verified()
    assert code == 0 and "4 of 4 reproduced" in out
    code, out = verified(runs=files["runs.json"].replace(b'"seed": "1"', b'"seed": "2"'))
    assert code == 1 and "seeds: recorded 2, now [1, 0] in settings.toml" in out
    code, out = verified(described=False, runs=files["runs.json"] + b" ")
    assert code == 1 and "changed since it was written: runs.json" in out
    code, out = verified(data=files["data.json"].replace(b'"path": "', b'"path": "0'))
    assert code == 1 and "data (path): recorded 0" in out
    code, out = verified(requirements=b"keras==4\n")
    assert code == 1 and "lock: recorded " in out
    moved = {**scores, **{name: {**each, "best/validation/error_rate": 9.0} for name, each in scores.items()}}
    scores.update(moved)
    code, out = verified()
    assert code == 1 and "best/validation/error_rate recorded " in out


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        ({"code": "of a scaling"}, 4),  # the ablation goes through code of its own
        ({"code": "edited since"}, 2),
        ({"code": "of a scaling", "kind": "trial", "trial": "3"}, 4),
        ({"code": "edited since", "kind": "trial", "trial": "3"}, 2),
        ({"kind": "trial", "trial": "3", "data": "other clips"}, 2),
    ],
)
def test_trainings_with_code_of_their_own_are_frozen_and_those_of_edited_code_are_not(
    here, tags, count, monkeypatch, capsys
) -> None:
    tracking = Tracking()
    arms = tracking.runs("tiny", "tags.kind = 'ablation'")
    own = provenance.code_version
    monkeypatch.setattr(
        provenance, "code_version", lambda raw: "of a scaling" if raw["network"]["units"] == 4 else own(raw)
    )
    try:
        for arm in arms:
            for key, value in tags.items():
                tracking.client.set_tag(arm.info.run_id, key, value)
        code, out, err = run(monkeypatch, capsys, "report", "tiny", "--freeze", "own.zip")
        assert code == 0 and f"own.zip: {count} trainings of tiny, " in out, err
    finally:
        for arm in arms:
            for key in tags:
                tracking.client.set_tag(arm.info.run_id, key, arm.data.tags.get(key, ""))


def test_a_run_is_rebuilt_from_its_record(here, monkeypatch, capsys) -> None:
    tracking = Tracking()
    [best, *_] = tracking.runs("tiny", "tags.kind = 'best'")
    [arm, *_] = tracking.runs("tiny", "tags.kind = 'ablation'")
    code, out, err = run(monkeypatch, capsys, "verify", best.info.run_id, arm.info.run_id)
    assert code == 0, out + err
    assert out.count("and the weights were reproduced bit for bit") == 2
    before = len(tracking.runs("tiny"))
    tracking.client.set_tag(arm.info.run_id, "data", "0" * 12)
    code, out, _ = run(monkeypatch, capsys, "verify", arm.info.run_id)
    tracking.client.set_tag(arm.info.run_id, "data", arm.data.tags["data"])
    assert code == 1 and "data: recorded 000000000000, now " in out
    tracking.client.set_tag(arm.info.run_id, "dirty", "true")
    code, out, _ = run(monkeypatch, capsys, "verify", arm.info.run_id)
    tracking.client.set_tag(arm.info.run_id, "dirty", arm.data.tags["dirty"])
    assert code == 1 and "with changed files" in out and len(tracking.runs("tiny")) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("verify", "0" * 32), "no such run in the MLflow store"),
        (("verify", "absent.zip"), "absent.zip: cannot be read as a ZIP archive"),
        (("verify", "tiny"), "no recorded scores to rebuild"),
        (("verify", "tinny"), "did you mean tiny"),
        (("report", "tiny", "--freeze", "a.tar"), "give a name that ends in .zip"),
        (("report", "--freeze", "a.zip"), "give its NAME"),
    ],
)
def test_a_mistake_is_one_line(here, words, text, monkeypatch, capsys) -> None:
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2 and text in err and err.count("\n") == 1
