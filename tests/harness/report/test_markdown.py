"""Tables and figures from a store that is filled by hand: no training."""

import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness import price as runs
from audiomtl.harness.record import runs as records
from audiomtl.harness.report import markdown as report
from audiomtl.harness.report.blocks import Table
from tests.harness.report.conftest import Store

T_2 = 4.302652729911275  # 97.5 % point of Student's t with 2 degrees of freedom, from a printed table
README = "# Tiny\n\nbefore\r\n<!-- results -->\nold\n<!-- /results -->\nafter  \n"
RESULTS = "# All\n\n<!-- results -->\nold\n<!-- /results -->\n"


def rates(values: list[float]) -> str:
    """The t interval of the logarithm of three error rates, reckoned without the package."""
    middle = sum(values) / 3
    factor = math.exp(T_2 * statistics.stdev(values) / 3**0.5 / middle)
    return f"[{middle / factor:.4f}, {middle * factor:.4f}]"


def interval(values: list[float], form: str = ".4f") -> str:
    """The t interval of three values, reckoned without the package."""
    assert len(values) == 3
    half = T_2 * statistics.stdev(values) / 3**0.5
    middle = sum(values) / 3
    return f"[{middle - half:{form}}, {middle + half:{form}}]"


def fill(store: Store) -> None:
    """Complete best runs and ablations, in an order that is not that of the seeds."""
    for seed, test, validation in ((3, 0.33, 0.50), (1, 0.30, 0.30), (2, 0.36, 0.40)):
        store.best(seed, test, validation)
    for seed, validation in ((2, 0.41), (3, 0.53), (1, 0.32)):
        store.narrow(seed, validation)


# ---------------------------------------------------------------- results


def test_results_are_means_and_intervals_over_the_seeds_in_their_order(store: Store) -> None:
    fill(store)
    for _ in range(4):
        store.tracking.count_test_look("tiny")
    text = store.write()
    test, validation = rates([0.30, 0.36, 0.33]), rates([0.30, 0.40, 0.50])
    assert "| score | mean | 95 % interval | seed 1 | seed 2 | seed 3 |" in text
    assert f"| test/error_rate | 0.3300 | {test} | 0.3000 | 0.3600 | 0.3300 |" in text
    assert f"| validation/error_rate | 0.4000 | {validation} | 0.3000 | 0.4000 | 0.5000 |" in text
    for line in (
        "- Seeds: 1, 2, 3\n",
        "- Parameters: 1,234\n",
        "- Seconds per training: 120 (median)",
        "over all runs of this experiment: 4\n",
        "- Code code1, commit 111111111111; data data1; on machine1",
        "- Settings: as in experiments/tiny.toml",
        "A small network on noise",
        "| best, complete | 3 | 120 | 50 | 300 | 4.5 |",
    ):
        assert line in text
    assert "Not shown" not in text


def test_columns_that_are_empty_in_every_row_are_left_out() -> None:
    table = Table.filled(["score", "ceiling", "note"], [["a", "", ""], ["b", "", "low"]])
    assert str(table).splitlines() == ["| score | note |", "| --- | --- |", "| a |  |", "| b | low |"]


def test_the_newest_complete_run_of_a_seed_counts(store: Store) -> None:
    fill(store)
    store.best(2, 0.48, 0.44)
    store.best(2, 0.99, 0.99, outcome="failed")
    text = store.write()
    assert f"| test/error_rate | 0.3700 | {rates([0.30, 0.48, 0.33])} | 0.3000 | 0.4800 | 0.3300 |" in text
    assert "- Not shown: 1 further complete best runs" in text


@pytest.mark.parametrize(
    "other",
    [
        {"code": "code2", "commit": "2" * 40},
        {"data": "data2"},
        {"changes": {"optimizer.learning_rate": 0.01}},
    ],
)
def test_code_data_and_settings_are_never_mixed(store: Store, other: dict[str, Any]) -> None:
    fill(store)
    for seed in (1, 2):
        store.best(seed, 0.10, 0.10, **other)
    text = store.write()
    assert "| 0.3000 | 0.3600 | 0.3300 |" in text and "0.1000" not in text  # the newer set lacks a seed
    assert "- Not shown: 2 further complete best runs" in text
    store.best(3, 0.10, 0.10, **other)
    text = store.write()
    if "changes" in other:  # the settings of the file stand first, however old
        assert "| 0.3000 | 0.3600 | 0.3300 |" in text
        return
    assert "| test/error_rate | 0.1000 |  | 0.1000 | 0.1000 | 0.1000 |" in text
    assert {**{"code": "code1", "commit": "1" * 40, "data": "data1"}, **other}["commit"][:12] in text
    assert "- Not shown: 3 further complete best runs" in text
    # those runs have the older code or data
    assert "| narrow | not run with the settings and code of the best runs |" in text


def test_runs_of_other_settings_say_where_they_differ_from_the_file(store: Store) -> None:
    for seed in (1, 2, 3):
        store.best(seed, 0.2, 0.2, changes={"optimizer.learning_rate": 0.0123456})
    assert (
        "- Settings: different from the file: optimizer.learning_rate = 0.01235 (file: 0.05)" in store.write()
    )


def test_missing_seeds_are_named(store: Store) -> None:
    store.best(2, 0.2, 0.25)
    store.best(9, 0.1, 0.1)  # a seed that the file has no more
    text = store.write()
    assert "- Seeds: 2; missing: 1, 3" in text
    assert "| test/error_rate | 0.2000 |  | 0.2000 |" in text


# ---------------------------------------------------------------- ablations


def test_ablations_are_paired_by_seed(store: Store) -> None:
    fill(store)
    text = store.write()
    differences = interval([0.02, 0.01, 0.03], "+.4f")
    assert (
        "| ablation | difference to best | 95 % interval | validation/error_rate | seeds | question |" in text
    )
    assert "| best |  |  | 0.4000 | 3 |  |  |" in text
    # it holds 0: no asterisk
    assert f"| narrow | +0.0200 | {differences} | 0.4200 | 3 | exploratory | network.units = 4 |" in text
    assert "| same | same settings as the best run |  |  |  |  | network.units = 8 |" in text
    assert "Compared on the validation clips of the seeds 1, 2, 3" in text
    assert "Bias: the study chose the settings of the best run on these clips" in text


@pytest.mark.parametrize("question", ["", "Is a narrower network as good?"])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_without_0_is_marked_where_a_question_was_asked(
    store: Store, sign: int, question: str
) -> None:
    path = store.project.folder / "experiments" / "tiny.toml"
    if question:
        line = "network.units = 4\n"
        path.write_text(path.read_text().replace(line, f'{line}question = "{question}"\n'))
    fill(store)
    for seed, base in ((1, 0.30), (2, 0.40), (3, 0.50)):
        store.narrow(seed, base + sign * (0.02 + 0.001 * seed))
    limits = interval([sign * 0.021, sign * 0.022, sign * 0.023], "+.4f")
    text, star = store.write(), " *" if question else ""
    assert f"| narrow | {sign * 0.022:+.4f}{star} | {limits} |" in text
    assert f"| 3 | {question or 'exploratory'} | network.units = 4 |" in text


def test_only_ablations_of_the_same_code_data_and_settings_count(store: Store) -> None:
    fill(store)
    before = store.write()
    store.narrow(1, 0.9, code="code2")
    store.narrow(1, 0.9, data="data2")
    store.narrow(1, 0.9, changes={"network.units": 4, "optimizer.learning_rate": 0.01})
    store.narrow(1, 0.9, outcome="failed")
    assert store.write() == before
    store.narrow(1, 0.38, ablation="an_arm_with_the_same_settings")  # found by its settings, as training does
    text = store.write()
    assert re.search(r"\| narrow \| \+0.0400 \| \[\S+ \S+\] \| 0.4400 \|", text)
    assert "Not shown: runs of an_arm_with_the_same_settings" in text


@pytest.mark.parametrize("now", ["code1", "code2"])
def test_an_arm_with_code_of_its_own_counts_beside_best_runs_of_the_code_of_today(
    store: Store, now: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another scaling is another file."""
    for seed in (1, 2, 3):
        store.best(seed, 0.3, 0.3)
        store.narrow(seed, 0.4, code=f"{now} of the arm")
    of_arm = config.load_experiment("tiny").arm("narrow")
    monkeypatch.setattr(
        records.provenance, "code_version", lambda raw: f"{now} of the arm" if raw == of_arm else now
    )
    assert ("| narrow | +0.1000 |" in store.write()) == (now == "code1")


def test_an_arm_that_failed_or_is_not_complete_says_so(store: Store) -> None:
    for seed in (1, 2, 3):
        store.best(seed, 0.3, 0.3)
    store.narrow(1, 0.9, outcome="failed")
    assert "| narrow | failed on 1 of 3 |" in store.write()
    store.narrow(2, 0.5)
    seeds = "1 of 3, failed on 1 of 3"
    assert f"| narrow | +0.2000 |  | 0.5000 | {seeds} | exploratory | network.units = 4 |" in store.write()


# ---------------------------------------------------------------- sweeps


def sweep(store: Store) -> None:
    store.parent()
    store.trial(0, {"best/validation/error_rate": 0.5, "cost/wall_seconds": 30.0}, "complete")
    store.trial(1, {"validation/error_rate": [0.95, 0.9], "cost/wall_seconds": 6.0}, "pruned")
    store.trial(3, {}, "failed")
    store.trial(
        2,
        {"best/validation/error_rate": 0.4},
        "complete",
        changes={"network.units": 4, "optimizer.learning_rate": 0.0123456},
    )
    store.trial(4, {"best/validation/error_rate": 0.4}, "answered", code="code2", commit="2" * 40)
    store.trial(5, {"best/validation/error_rate": 0.1}, "complete", study_key="another study")


def test_a_sweep_counts_its_outcomes_and_shows_its_best_trial(store: Store) -> None:
    sweep(store)
    text = store.write()
    assert "No complete best run on the seeds 1, 2, 3 yet: run make best-tiny." in text
    assert "- Trials: 5 (2 complete, 1 pruned, 1 failed, 1 copied)" in text
    assert "- Best: trial 2, validation/error_rate 0.4000 (minimized)" in text  # of equal ones the first
    assert "- Code code1, commit 111111111111: 4 trials" in text
    assert "- Code code2, commit 222222222222: 1 trials" in text
    assert "| setting | trial 0 (experiment) | trial 2 (best) | importance |" in text
    assert "| network.units | 8 | 4 |  |" in text
    assert "| optimizer.learning_rate | 0.05 | 0.01235 |  |" in text
    assert "No importances: at least 4 complete trials" in text
    assert "| trial, pruned | 1 |  |  |  | 0.1 |" in text
    assert "(study_tiny_history.png)" in text and "importances.png" not in text


def test_a_study_that_maximizes_has_its_best_on_top(store: Store) -> None:
    sweep(store)
    swept = records.studies(store.tracking.runs("tiny"))[0]
    assert swept.front == [2]
    assert records.Swept(**{**vars(swept), "objectives": {"validation/error_rate": "maximize"}}).front == [0]


def test_a_study_of_several_scores_shows_its_front(store: Store) -> None:
    """Loss and error rate.

    Trials 0 and 3 are the front, 2 is beaten by 3, 4 has no loss, 1 was pruned before it was beaten.
    """
    store.project.edit(
        "studies",
        'metric = "validation/error_rate"',
        'metrics = ["validation/error_rate", "validation/loss"]',
    )
    store.project.edit("studies", '\ndirection = "minimize"', '\ndirections = ["minimize", "minimize"]')
    store.parent()
    for number, (error, loss, outcome) in enumerate(
        [
            (0.5, 0.2, "complete"),
            (0.0, 0.0, "pruned"),
            (0.4, 0.4, "complete"),
            (0.3, 0.3, "complete"),
            (0.1, math.nan, "complete"),
        ]
    ):
        changes = {"network.units": 4} if number == 3 else {}
        scores = {"best/validation/error_rate": error, "best/validation/loss": loss}
        store.trial(number, scores, outcome, changes=changes)
    text = store.write()
    assert (
        "| trial | validation/error_rate (minimized) | validation/loss (minimized) | changed settings |"
        in text
    )
    table = text.partition("| trial | validation")[2].partition("\n\n")[0].splitlines()[2:]
    assert table == [
        "| 0 | 0.5000 | 0.2000 | the experiment itself |",
        "| 3 | 0.3000 | 0.3000 | network.units = 4 |",
    ]
    assert re.findall(r"\]\((.*?)\)", text) == ["study_tiny_front.png"] and "- Best:" not in text
    picture = (store.project.folder / "out" / "study_tiny_front.png").read_bytes()
    store.write()
    assert (
        picture.startswith(b"\x89PNG")
        and picture == (store.project.folder / "out" / "study_tiny_front.png").read_bytes()
    )


def test_of_a_changed_study_the_one_worked_on_last_is_shown(store: Store) -> None:
    sweep(store)
    store.parent(study_key="newer")
    store.trial(0, {"best/validation/error_rate": 0.25}, "complete", study_key="newer")
    text = store.write()
    assert "- Trials: 1 (1 complete" in text and "- Best: trial 0, validation/error_rate 0.2500" in text
    assert "1 older studies of this name" in text
    assert "No importances: studies/tiny.toml or its experiment has changed" in text
    store.trial(6, {"best/validation/error_rate": 0.3}, "complete")
    assert "- Best: trial 6, validation/error_rate 0.3000" in store.write()


def add_trials(values: list[float]) -> None:
    """Complete Optuna trials in which only the width matters."""
    import optuna

    from audiomtl.harness.search.proposals import create_study
    from audiomtl.harness.search.storage import open_storage

    study = create_study(config.load_study("tiny"), open_storage())
    rate = optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True)
    units = optuna.distributions.CategoricalDistribution([4, 8])
    for number, value in enumerate(values):
        params = {
            "network.units": 4 if value < 0.5 else 8,
            "optimizer.learning_rate": 1e-3 * 100 ** (number * 7 % 20 / 20),
        }
        spaces = {"network.units": units, "optimizer.learning_rate": rate}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=value))


def test_importances_name_what_decided_and_need_four_trials(store: Store) -> None:
    from audiomtl.harness.search.importances import importances
    from audiomtl.harness.search.storage import open_storage

    file = config.load_study("tiny")
    assert importances(file) == {}
    assert open_storage().get_all_studies() == []  # asking makes none
    add_trials([0.1, 0.9, 0.2])
    assert importances(file) == {}
    add_trials([0.8 if number % 4 else 0.1 for number in range(20)])
    found = importances(file)
    assert next(iter(found)) == "network.units" and found["network.units"] > 0.6
    assert sum(found.values()) == pytest.approx(1, abs=0.002)
    assert all(value == round(value, 3) for value in found.values()) and importances(file) == found
    sweep(store)
    text = store.write()
    assert f"| network.units | 8 | 4 | {found['network.units']:.3f} |" in text
    assert "(study_tiny_importances.png)" in text


# ---------------------------------------------------------------- the files


def test_the_same_runs_give_the_same_bytes_and_nothing_that_changes(store: Store) -> None:
    fill(store)
    sweep(store)
    add_trials([0.1, 0.9, 0.2, 0.7, 0.6])
    first, second = store.project.folder / "a", store.project.folder / "elsewhere" / "b"
    report.write([], first, None)
    code = (
        "from pathlib import Path; from audiomtl.harness.report import markdown; markdown.write([],"
        f" Path({str(second)!r}), None)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        "report.html",
        "report.md",
        "study_tiny_history.png",
        "study_tiny_importances.png",
        "tiny_learning_curves.png",
    ]
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert name.startswith("report.") or (first / name).read_bytes().startswith(b"\x89PNG")
    page, text = (first / "report.html").read_text(), (first / "report.md").read_text()
    assert re.findall(r"\]\((.*?)\)", text) == [
        "tiny_learning_curves.png",
        "study_tiny_history.png",
        "study_tiny_importances.png",
    ]
    for written in (text, page):
        assert str(store.project.folder) not in written and not re.search(r"\b20\d\d-", written)
        assert not any(run.info.run_id in written for run in store.tracking.runs("tiny"))


def test_every_experiment_with_runs_is_reported_by_default(store: Store) -> None:
    fill(store)
    shutil.copy("experiments/tiny.toml", "experiments/other.toml")
    said = report.write([], None, None)
    assert said.splitlines() == [
        "runs/report/report.html: tables and figures of tiny, to open or send; beside it report.md"
    ]
    assert "## other" not in (store.project.runs / "report" / "report.md").read_text()


def test_unknown_names_and_experiments_without_runs_are_refused(store: Store) -> None:
    with pytest.raises(UserError, match=r"no such file; did you mean tiny\?"):
        report.write(["tinny"], None, None)
    with pytest.raises(UserError, match="no runs of tiny in runs/: run make best-tiny"):
        report.write(["tiny"], None, None)
    with pytest.raises(UserError, match="no runs of any experiment in runs/"):
        report.write([], None, None)
    store.project.use_runs(store.project.folder / "none")
    with pytest.raises(UserError, match="no runs of tiny in none/"):
        report.write(["tiny"], None, None)
    assert not (store.project.folder / "none").exists()  # looking makes no store


# ---------------------------------------------------------------- README and docs/results.md


def readme(text: str = README) -> Path:
    path = Path("README.md")
    path.write_bytes(text.encode())
    return path


def results_page(text: str = RESULTS) -> Path:
    path = Path("docs/results.md")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode())
    return path


EXPECTED = """
[expected.recorded]
machine = "m"
code = "c"
lock = "l"
seeds = [1, 2, 3]
cpu_seconds_per_training = 1.0

[expected."test/error_rate"]
mean = 0.33
per_seed = [0.30, 0.36, 0.33]
tolerance = 0.02

[expected."validation/error_rate"]
mean = 0.40
per_seed = [0.30, 0.40, 0.50]
tolerance = 0.02
"""


def record(name: str = "tiny", text: str = EXPECTED) -> None:
    with open(f"experiments/{name}.toml", "a") as file:
        file.write(text)


def test_tables_stand_between_the_markers_and_the_rest_is_untouched(store: Store) -> None:
    fill(store)
    record()
    # a demonstration: never in the tables
    shutil.copy("experiments/tiny.toml", "experiments/quickstart.toml")
    pages = readme(), results_page()
    said = report.write(["tiny"], None, *pages)
    assert said.splitlines()[1] == "README.md and docs/results.md: results written"
    small, large = (path.read_bytes().decode() for path in pages)
    assert small.startswith(
        "# Tiny\n\nbefore\r\n<!-- results -->\n\n"
        "| experiment | family | score | for new groups | groups | over folds or seeds |\n"
    )
    assert small.endswith("\n\n<!-- /results -->\nafter  \n")
    test = f"0.3300 {rates([0.30, 0.36, 0.33])} over 3 seeds"
    validation = f"0.4000 {rates([0.30, 0.40, 0.50])} over 3 seeds"
    row = f"error_rate | not recorded |  | {test} |"  # a record of an earlier version
    assert f"\n| tiny | tinylab.tone | {row}\n\n" in small and "narrow" not in small
    assert large.startswith(
        "# All\n\n<!-- results -->\n\nGenerated by `audiomtl report --readme`; do not edit.\n\n"
    )
    assert f"| tiny | {row}  | {validation} | 1 |" in large
    assert (
        f"| narrow | +0.0200 {interval([0.02, 0.01, 0.03], '+.4f')} | 0.4200 | exploratory | network.units = 4 |"
        in large
    )
    assert [line for line in large.splitlines() if line.startswith("#")] == [
        "# All",
        "## Best runs",
        "## Ablations",
        "### tiny",
    ]
    for text in (small, large):
        assert "\nold\n" not in text and "quickstart" not in text
    report.write(["tiny"], None, *pages)
    assert [path.read_bytes().decode() for path in pages] == [small, large]


def test_the_interval_for_new_groups_comes_first(store: Store) -> None:
    """Before that over the seeds, which is named as such; a table of unlike rows says so on both pages."""
    interval = "new_groups = {score = 0.3, low = 0.2, high = 0.4, clips = 20, groups = {speaker = 5}}\n"
    text = EXPECTED.replace("tolerance = 0.02\n", interval, 1)
    fill(store)
    shutil.copy("experiments/tiny.toml", "experiments/other.toml")
    record(text=text.replace("seeds = [1, 2, 3]\n", "seeds = [1, 2, 3]\nunseen_seeds = [2]\n"))
    record("other", EXPECTED.replace('"m"', '"another"'))
    pages = readme(), results_page()
    report.write([], None, *pages)
    small, large = (path.read_text() for path in pages)
    cells = "| error_rate | 0.3000 [0.2000, 0.4000] | speaker: 5 | 0.3300 ["
    assert f"| tiny | tinylab.tone {cells}" in small and f"| tiny {cells}" in large
    assert "over 3 seeds | 0.3600 (seed 2) | 0.4000" in large
    assert "The rows of this table were not recorded alike: 2 processors." in small
    assert "recorded with different processors: another: other; m: tiny." in large


def test_the_rows_of_best_runs_come_from_the_files_and_need_no_runs(store: Store) -> None:
    fill(store)
    record()
    shutil.copy("experiments/tiny.toml", "experiments/other.toml")
    path = readme()
    report.write([], None, path)
    assert re.findall(r"^\| (\w+) \| tinylab", path.read_text(), re.MULTILINE) == ["other", "tiny"]


def test_the_marker_of_the_readme_names_the_rows_of_its_table(store: Store) -> None:
    fill(store)
    record()
    shutil.copy("experiments/tiny.toml", "experiments/other.toml")
    marker = "<!-- results: tiny -->"
    path = readme(README.replace("<!-- results -->", marker))
    report.write([], None, path, results_page())
    assert (
        marker in path.read_text()
        and "| other |" not in path.read_text()
        and "| other |" in Path("docs/results.md").read_text()
    )
    path = readme(README.replace("<!-- results -->", "<!-- results: tiny other -->"))
    report.write([], None, path)
    assert re.findall(r"^\| (\w+) \| tinylab", path.read_text(), re.MULTILINE) == ["tiny", "other"]
    with pytest.raises(UserError, match=r"tinny.toml: no such file; did you mean tiny\?"):
        report.write([], None, readme(README.replace("<!-- results -->", "<!-- results: tinny -->")))


def test_docs_results_is_begun_by_readme_alone(store: Store) -> None:
    fill(store)
    record()
    path = Path("docs/results.md")
    path.parent.mkdir()
    assert "docs" not in report.write([], None, None, path) and not path.exists()
    report.write([], None, readme(), path)
    assert path.read_text().startswith("# Results\n\n<!-- results -->\n\nGenerated by")


@pytest.mark.parametrize("lack", ["seed", "settings", "ablation"])
def test_ablations_that_are_not_complete_here_stay_as_they_were(store: Store, lack: str) -> None:
    fill(store)
    record()
    pages = readme(), results_page()
    report.write([], None, *pages)
    changes = {
        "seed": ("seeds = [1, 2, 3]", "seeds = [1, 2, 3, 4]"),
        "settings": ("momentum = 0.9", "momentum = 0.8"),
        "ablation": ("[ablation.same]", "[ablation.wide]\nnetwork.units = 16\n\n[ablation.same]"),
    }
    text = Path("experiments/tiny.toml").read_text()
    Path("experiments/tiny.toml").write_text(text.replace(*changes[lack], 1))
    before = pages[1].read_text()
    said = report.write([], None, None, pages[1])
    assert said.endswith("results written; ablations left as they were, not complete on this machine: tiny")
    assert before == pages[1].read_text()


def test_a_section_whose_best_runs_were_recorded_anew_says_so_once(store: Store) -> None:
    fill(store)
    record()
    path = results_page()
    report.write([], None, readme(), path)
    assert "Compare within" not in path.read_text()
    text = Path("experiments/tiny.toml").read_text()
    anew = text.replace("mean = 0.40", "mean = 0.30").replace("[0.30, 0.40, 0.50]", "[0.20, 0.30, 0.40]")
    Path("experiments/tiny.toml").write_text(anew.replace("momentum = 0.9", "momentum = 0.8"))
    for _ in range(2):
        report.write([], None, None, path)
        assert path.read_text().count("Compare within this table") == 1
    assert "its best runs scored 0.4000 on validation, those recorded in the file 0.3000." in path.read_text()


def test_a_page_without_markers_does_not_stop_a_plain_report(store: Store) -> None:
    fill(store)
    path = results_page("# My own\n")
    assert report.write([], None, None, path).endswith("go between them; left unchanged")
    assert path.read_text() == "# My own\n" and (store.project.runs / "report" / "report.md").exists()


def test_nothing_recorded_writes_no_empty_table(store: Store) -> None:
    fill(store)
    said = report.write([], None, readme(), results_page())
    assert said.endswith("left unchanged: no experiment has recorded scores (audiomtl best NAME --record)")
    assert Path("docs/results.md").read_bytes() == RESULTS.encode()
    said = report.write([], None, readme(README.replace("<!-- results -->", "<!-- results: tiny -->")))
    assert said.endswith("left unchanged: tiny has no recorded scores (audiomtl best tiny --record)")


@pytest.mark.parametrize(
    ("options", "pages"),
    [
        ([], (None, "docs/results.md")),
        (["--readme"], ("README.md", "docs/results.md")),
        (["tiny", "--readme"], ("README.md", "docs/results.md")),
        (["tiny"], (None, None)),
        (["--to", "out"], (None, None)),
    ],
)
def test_which_pages_a_command_updates(
    store: Store, monkeypatch: pytest.MonkeyPatch, options: list[str], pages: tuple[str | None, str | None]
) -> None:
    from audiomtl import cli

    given: list[Any] = []
    monkeypatch.setattr(report, "write", lambda *arguments: given.append(arguments[2:]) or "")
    for expected in ((pages[0], None), pages):
        cli.app(["report", *options], standalone_mode=False)
        assert given.pop() == tuple(name and Path(name) for name in expected)
        Path("docs").mkdir(exist_ok=True)


def test_an_ablation_that_failed_does_not_hold_the_tables_up(store: Store) -> None:
    for seed in (1, 2, 3):
        store.best(seed, 0.3, 0.3)
        store.narrow(seed, 0.0, outcome="failed")
    record()
    path = results_page()
    report.write([], None, readme(), path)
    assert "| narrow | failed on 3 of 3 |  |  | network.units = 4 |" in path.read_text()


def test_a_kept_table_of_an_earlier_version_loses_its_asterisks_and_names_its_bias(store: Store) -> None:
    record()
    head = "| ablation | error_rate | difference to best | changes |\n| --- | --- | --- | --- |\n"
    row = "| narrow | 0.9000 | +0.5000 * [+0.4000, +0.6000] | network.units = 4 |"
    old = f"## Ablations\n\n### tiny\n\n{head}{row}\n"
    path = results_page(RESULTS.replace("old\n", old))
    for _ in range(2):
        store.best(1, 0.3, 0.3)
        report.write([], None, None, path)
        text = path.read_text()
        assert row.replace(" * [", " [") in text and " * [" not in text
        assert text.count("the best run is favoured") == 1


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "<!-- results -->",
        "<!-- results --><!-- results --><!-- /results -->",
        "<!-- /results -->",
        "<!-- /results --><!-- results -->",
        2 * "<!-- results --><!-- /results -->",
    ],
)
def test_a_page_without_its_markers_is_refused_before_anything_is_written(store: Store, text: str) -> None:
    fill(store)
    path = readme(text)
    with pytest.raises(
        UserError, match=r"README.md: needs one line <!-- results --> and after it one line <!-- /results -->"
    ):
        report.write(["tiny"], None, path)
    assert path.read_text() == text
    with pytest.raises(UserError, match=r"docs/results.md: needs one line <!-- results --> and after it"):
        report.write(["tiny"], None, readme(), results_page(text))
    assert not (store.project.runs / "report").exists()


# ---------------------------------------------------------------- price


def test_price_counts_trainings_and_asks_the_runs_for_minutes(store: Store) -> None:
    assert (
        runs.price([], 2)
        == "tiny: 6 trainings (best and 1 ablations, 3 seeds each), duration unknown: no recorded runs\n"
        "  detectable difference in error_rate: unknown, no scores of known folds are recorded"
    )
    path = Path("experiments/tiny.toml")
    path.write_text(
        path.read_text()
        + '\n[expected.recorded]\nmachine = "m"\nseeds = [1]\ncpu_seconds_per_training = 40.0\n'
    )
    # 6 * 40 / 2 = 120 s
    assert "about 2 minutes: 40 s of CPU time each, 2 in parallel\n" in runs.price(["tiny"], 2)
    store.add("trial", 0, {"cost/cpu_seconds": 20.0})
    assert "about 1 minute: 20 s of CPU time each" in runs.price(["tiny"], 2)
    for seed, seconds in ((1, 100.0), (2, 300.0), (3, 900.0)):
        store.add("best", seed, {"cost/cpu_seconds": seconds})
    assert "about 30 minutes: 300 s of CPU time each, 1 in parallel" in runs.price(["tiny"], 1)
    shutil.copy("experiments/tiny.toml", "experiments/other.toml")
    path.write_text(path.read_text().replace("cpu_seconds_per_training = 40.0\n", ""))
    assert runs.price([], 1).splitlines()[-1].startswith("total: 12 trainings, about 34 minutes; ")
    assert runs.price([], 2).splitlines()[-1].startswith("total: 12 trainings, about 17 minutes; ")
    with pytest.raises(UserError, match=r"did you mean tiny\?"):
        runs.price(["tinny"], 1)


def test_price_and_report_do_not_import_tensorflow(store: Store) -> None:
    fill(store)
    code = (
        "import sys; from audiomtl.harness import price as runs; from audiomtl.harness.report import markdown;"
        "runs.price([], 2); markdown.write([], None, None);"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
