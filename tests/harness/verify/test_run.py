"""Runs and frozen studies: what is tampered with is named, and on another processor equivalence decides."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness import experiment
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.report import crate, freeze
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.train.workers import Outcome
from audiomtl.harness.verify import compare, frozen, record
from audiomtl.harness.verify import run as rebuilding
from tests.command import run
from tests.harness.conftest import Project
from tests.harness.verify import test_tampering as experiments
from tests.pages import PROJECT

SCORES = {"validation/error_rate": 0.25, "validation/loss": 0.5, "test/error_rate": 0.5}
WEIGHTS = "ab" * 32
ZIP = "study.zip"
Moved = Callable[[Job], float]


def trained(job: Job, moved: float = 0.0) -> Result:
    """In the place of a training: its scores, each moved."""
    scores = {name: value + moved for name, value in SCORES.items() if job.test or "test/" not in name}
    weights = "cd" * 32 if moved else WEIGHTS
    return Result(False, scores, 0, 1, 1.0, 1.0, 1, weights=weights)


def train_all(next_job: Callable[[], Job], listener: Any, **_: Any) -> None:
    while (job := next_job()) is not None:
        listener.started(job)
        listener.ended(job, Outcome("complete", result=trained(job)))


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Iterator[Path]:
    """A project with best runs and an ablation on two seeds each in MLflow, and a frozen study of them."""
    with pytest.MonkeyPatch.context() as patch:
        project = experiments.laid_out(tmp_path_factory.mktemp("recorded") / "project", patch)
        experiments.enter(project.folder, patch)
        patch.setattr(experiment, "start_forkserver", lambda *_: None)
        patch.setattr(experiment, "device", lambda *_: "CPU")
        patch.setattr(experiment, "train_all", train_all)
        patch.setattr(freeze.markdown, "write", lambda *_, **__: None)
        file = config.load_experiment("tiny")
        experiment.train_runs(file, ["", "narrow"], again=False, slots=1, threads=1)
        freeze.freeze("tiny", project.folder / ZIP)
    yield project.folder


@pytest.fixture
def recorded(template, tmp_path, monkeypatch) -> Project:
    """A copy of it, whose trainings give what was recorded."""
    folder = tmp_path / "copy"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("AUDIOMTL_CACHE", "MLFLOW_TRACKING_URI", "AUDIOMTL_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    experiments.enter(folder, monkeypatch)
    project = Project.__new__(Project)
    project.folder, project._patch = folder, monkeypatch
    project.use_runs(folder / "runs")
    move(monkeypatch, lambda job: 0.0)
    return project


def move(monkeypatch: pytest.MonkeyPatch, moved: Moved) -> None:
    """Let trainings give other scores than recorded."""
    monkeypatch.setattr(
        rebuilding, "train_again", lambda jobs, *_, **__: {job.name: trained(job, moved(job)) for job in jobs}
    )


def best_run() -> Run:
    """The best run of seed 1."""
    return Tracking().runs("tiny", "tags.kind = 'best' and tags.seed = '1'")[0]


# ---------------------------------------------------------------- eight tamperings


def setting_of_run(project: Project) -> None:
    [place] = (project.folder / "runs").rglob(f"{best_run().info.run_id}/**/settings.toml")
    place.write_text(place.read_text().replace("momentum = 0.9", "momentum = 0.8"))


def seed_of_run(project: Project) -> None:
    Tracking().client.set_tag(best_run().info.run_id, "seed", "2")


def score_of_run(project: Project) -> None:
    Tracking().add(best_run().info.run_id, {"test/error_rate": 0.6}, {})


def in_zip(change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Callable[[Project], None]:
    """Change the files of the archive and the entry of its best run of seed 1, and describe them anew."""

    def changed(project: Project) -> None:
        with zipfile.ZipFile(project.folder / ZIP) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name != crate.METADATA}
        runs = json.loads(files[freeze.RUNS])
        change(files, next(one for one in runs if one["name"].startswith("best seed 1")))
        files[freeze.RUNS] = json.dumps(runs).encode()
        crate.write(project.folder / ZIP, "tiny", "changed", files, datetime(2026, 1, 1))

    return changed


def setting_in_zip(files: dict[str, bytes], entry: dict[str, Any]) -> None:
    name = f"runs/{entry['key']}/settings.toml"
    files[name] = files[name].replace(b"momentum = 0.9", b"momentum = 0.8")


OF_BOTH = {
    name: experiments.TAMPERINGS[name]
    for name in (
        *("a byte of the data", "a byte of the second modality"),
        *("code", "code of the settings", "the lock"),
    )
}
SETTING = "settings (optimizer.momentum): recorded 0.9, now 0.8 in settings.toml"
SEED = "seeds: recorded 2, now [1, 0] in settings.toml"
SCORE = "recorded score: 1 of 3 scores differ: test/error_rate recorded 0.6"
OF_RUN = {
    **OF_BOTH,
    "a setting": (setting_of_run, SETTING),
    "a seed": (seed_of_run, SEED),
    "a recorded score": (score_of_run, SCORE),
}
OF_ZIP = {
    **OF_BOTH,
    "a setting": (in_zip(setting_in_zip), SETTING),
    "a seed": (in_zip(lambda _, entry: entry["tags"].update(seed="2")), SEED),
    "a recorded score": (in_zip(lambda _, entry: entry["scores"].update({"test/error_rate": 0.6})), SCORE),
}


@pytest.mark.parametrize("name", experiments.TAMPERINGS)
def test_a_tampering_of_a_run_is_named_and_exits_with_1(name, recorded, monkeypatch, capsys) -> None:
    run_id = best_run().info.run_id
    change, named = OF_RUN[name]
    change(recorded)
    experiments.forget(monkeypatch)
    code, out, _ = run(monkeypatch, capsys, "verify", run_id)
    assert (code, named in out) == (1, True), out
    assert out.count(": recorded ") == 1, "something else is named too"


@pytest.mark.parametrize("name", experiments.TAMPERINGS)
def test_a_tampering_of_a_frozen_study_is_named_and_exits_with_1(name, recorded, monkeypatch, capsys) -> None:
    change, named = OF_ZIP[name]
    change(recorded)
    experiments.forget(monkeypatch)
    code, out, _ = run(monkeypatch, capsys, "verify", ZIP)
    assert (code, named in out) == (1, True), out
    others = [line for line in out.splitlines() if ": recorded " in line and shown(named)[1:-1] not in line]
    assert others == [], "something else is named too"


def test_what_is_as_recorded_comes_back(recorded, monkeypatch, capsys) -> None:
    code, out, _ = run(monkeypatch, capsys, "verify", best_run().info.run_id, ZIP)
    assert code == 0 and "5 of 5 reproduced" in out
    assert out.count("scores and the weights were reproduced bit for bit") == 5


def shown(named: str) -> str:
    """What a tampering is called, in a cell of the table."""
    return f"`{named.partition(': ')[0]}`"


def test_the_page_has_the_table_of_tamperings() -> None:
    kinds = (experiments.TAMPERINGS, OF_RUN, OF_ZIP)
    rows = ["| changed | experiment | run | frozen study |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {name} | {' | '.join(shown(kind[name][1]) for kind in kinds)} |"
        for name in experiments.TAMPERINGS
    ]
    page = (PROJECT / "docs" / "how-to" / "reproduce.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in page, "the table there should be:\n" + "\n".join(rows)


# ---------------------------------------------------------------- another processor


@pytest.fixture
def elsewhere(recorded, monkeypatch) -> Project:
    """It was recorded on another processor."""
    monkeypatch.setattr(provenance, "machine", lambda: "this one")
    monkeypatch.setattr(compare, "floors_here", lambda file: {"test/error_rate": 0.6})
    return recorded


def by_seed(*moved: float) -> Moved:
    return lambda job: moved[job.seed - 1]


@pytest.mark.parametrize(
    ("moved", "code", "told"),
    [
        (by_seed(0.0, 0.0), 0, "were reproduced bit for bit, recorded on a different processor ("),
        (by_seed(1e-9, -1e-9), 0, "2 reported scores are equivalent over 2 seeds of best "),
        (by_seed(0.0, 1e-9), 0, "4 of 4 reproduced"),  # one is equal to the bit
        (by_seed(0.024, 0.024), 0, "4 of 4 reproduced"),  # the margin is (0.6 - 0.5) / 4
        (by_seed(0.026, 0.026), 1, "not equivalent: test/error_rate"),
        (by_seed(-0.02, 0.02), 1, "not equivalent: test/error_rate, validation/error_rate"),
        (by_seed(0.3, 0.3), 1, "not equivalent"),
    ],
)
def test_on_another_processor_equivalence_decides(moved, code, told, elsewhere, monkeypatch, capsys) -> None:
    move(monkeypatch, moved)
    found, out, _ = run(monkeypatch, capsys, "verify", ZIP)
    assert (found, told in out) == (code, True), out


def test_one_run_alone_cannot_be_equivalent_and_all_seeds_together_can(
    elsewhere, monkeypatch, capsys
) -> None:
    move(monkeypatch, by_seed(1e-9, 1e-9))
    best = [one.info.run_id for one in Tracking().runs("tiny", "tags.kind = 'best'")]
    code, out, _ = run(monkeypatch, capsys, "verify", best[0])
    assert code == 1 and "alone cannot be tested for equivalence" in out and "different processor" in out
    code, out, _ = run(monkeypatch, capsys, "verify", *best)
    assert code == 0 and out.count("2 reported scores are equivalent over 2 seeds of best ") == 2


def test_on_the_same_processor_every_bit_must_come_back(recorded, monkeypatch, capsys) -> None:
    move(monkeypatch, by_seed(1e-9, 1e-9))
    code, out, _ = run(monkeypatch, capsys, "verify", ZIP)
    assert code == 1 and out.count("scores differ") == 4 and "equivalent" not in out


@pytest.mark.parametrize(
    ("losses", "code", "told"),
    [([1.0, 2.1], 1, "differ by 0.048 (relative) at step 2"), ([1.0, 2.00001], 0, "4 of 4 reproduced")],
)
def test_on_another_processor_the_first_steps_come_first(
    losses, code, told, elsewhere, monkeypatch, capsys
) -> None:
    file = config.load_experiment("tiny")
    text = (
        f'\n[expected.recorded]\nmachine = "another"\ncode = "{provenance.code_version(file.raw)}"\n'
        f'settings = "{config.digest(config.scored_settings(file.raw))}"\nseeds = [1, 2]\n'
        'fingerprint = [1.0, 2.0]\n[expected."test/error_rate"]\nmean = 0.5\nper_seed = [0.5, 0.5]\n'
        "floor = 0.6\n"
    )
    in_zip(lambda files, _: files.update({"experiment.toml": files["experiment.toml"] + text.encode()}))(
        elsewhere
    )
    monkeypatch.setattr(frozen, "fingerprint", lambda *_, **__: losses)
    move(monkeypatch, by_seed(1e-9, 1e-9))
    found, out, _ = run(monkeypatch, capsys, "verify", ZIP)
    assert (found, told in out) == (code, True), out
    text_dirty = text.replace("machine =", "dirty = true\nmachine =")
    in_zip(
        lambda files, _: files.update(
            {"experiment.toml": files["experiment.toml"].replace(text.encode(), text_dirty.encode())}
        )
    )(elsewhere)
    found, out, _ = run(monkeypatch, capsys, "verify", ZIP, "--quick")
    assert found == 1 and "recorded with changed files" in out


# ---------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    "kind", ["best", "ablation", "trial", "member", "optimism", "nested", "refit", "decoded"]
)
def test_every_kind_of_training_is_rebuilt(kind, recorded, monkeypatch, capsys) -> None:
    """With settings and seed as `as_toml` writes them; that of the outputs has another key."""
    run_ = best_run()
    client = Tracking().client
    client.set_tag(run_.info.run_id, "kind", kind)
    code, out, _ = run(monkeypatch, capsys, "verify", run_.info.run_id)
    assert code == 0 and "reproduced bit for bit" in out


@pytest.mark.parametrize(
    ("kind", "decode_only", "told"),
    [
        ("study", "false", "a study is no training: give the ids of its trials"),
        ("study", "true", "they read the outputs of one, the run of kind decoded"),
        ("other", "false", "its kind is other: only runs of the kinds best, ablation, trial"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused_in_a_line(
    kind, decode_only, told, recorded, monkeypatch, capsys
) -> None:
    run_id = best_run().info.run_id
    Tracking().client.set_tag(run_id, "kind", kind)
    Tracking().log_params(run_id, {"study.decode_only": decode_only == "true"})
    code, _, err = run(monkeypatch, capsys, "verify", run_id)
    assert code == 2 and told in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("tags", "group"),
    [
        ({"kind": "trial", "study": "wide", "trial": "3"}, "trials of study wide"),
        ({"kind": "member", "study": "wide", "trial": "3"}, "trials of study wide"),
        ({"kind": "nested", "study": "wide-nested-2", "trial": "3"}, "outer folds of study wide"),
        ({"kind": "optimism", "study": "wide", "trial": "3"}, "new seeds of trial 3 of study wide"),
    ],
)
def test_trainings_are_compared_in_groups(tags, group) -> None:
    assert record.group_of(record.Record("one", {}, {}, tags, {})) == group


def test_a_training_on_every_clip_is_compared_by_its_weights(recorded, monkeypatch) -> None:
    one = record.Record("one", {}, {}, {"weights": WEIGHTS}, {})
    job: Any = SimpleNamespace(test=False)
    same = rebuilding._here(one, trained(job))
    assert same.reproduced and "it has no scores" in same.text
    assert not rebuilding._here(one, trained(job, 0.1)).reproduced
