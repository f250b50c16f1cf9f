"""Scores of clips that no study has seen, beside those of all seeds; and the optimism that they show."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from audiomtl import config
from audiomtl.harness import seen
from tests.harness.search.conftest import LAB

METRIC = "validation/error_rate"


def run(kind: str, metrics: dict, params: dict, **tags: str) -> SimpleNamespace:
    texts = {path: value if isinstance(value, str) else json.dumps(value) for path, value in params.items()}
    info = SimpleNamespace(run_id=f"{kind} {tags.get('trial', '')}".strip(), status="FINISHED")
    return SimpleNamespace(
        data=SimpleNamespace(metrics=metrics, params=texts, tags={"kind": kind, **tags}), info=info
    )


class Store:
    """The study of ``tests/lab`` with two trials, of which the second is best."""

    def __init__(self) -> None:
        told = {
            "trials": 2,
            "metric": METRIC,
            "direction": "minimize",
            "search.network.units.choices": [4, 8],
        }
        of = {"study": "tiny", "study_key": "key", "outcome": "complete"}
        parent = run("study", {}, {f"study.{path}": value for path, value in told.items()}, **of)
        trials = [
            run(
                "trial",
                {f"best/{METRIC}": error},
                {"network.units": units, "seed": 0},
                trial=str(number),
                **of,
            )
            for number, (units, error) in enumerate([(8, 0.4), (4, 0.1)])
        ]
        self.all, self.logged = [parent, *trials], {}
        self.client = SimpleNamespace(
            log_metric=lambda run_id, name, value: self.logged.update({name: value})
        )

    def runs(self, _: str, query: str) -> list:
        return [one for one in self.all if f"tags.kind = '{one.data.tags['kind']}'" in query]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(LAB))
    monkeypatch.chdir(tmp_path)
    return config.load_experiment(str(LAB / "tiny.toml"))


def best(units: int = 4) -> dict[int, SimpleNamespace]:
    errors = {1: 0.3, 2: 0.2, 3: 0.4}
    return {
        seed: run("best", {"test/error_rate": error}, {"network.units": units, "seed": seed})
        for seed, error in errors.items()
    }


CASES = {
    "two seeds are independent": (
        [2, 3],
        ["0.3000 over all seeds, 0.3000 over seeds 2, 3", "(trial 1), test/error_rate 0.3000 on"],
    ),
    "one seed is": (
        [2],
        ["0.2000 over seed 2, whose test clips no study", "0.1000 (trial 1), test/error_rate 0.2000"],
    ),
    "none is": ([], ["every test score is of clips that a study with study_seed = 0 has seen"]),
    "all are": ([1, 2, 3], ["optimism of study tiny"]),
    "the data are not here": (None, []),
}


@pytest.mark.parametrize("case", CASES)
def test_the_score_over_unseen_clips_stands_beside_that_over_all(case, file, monkeypatch):
    unseen, parts = CASES[case]
    monkeypatch.setattr(seen, "unseen_seeds", lambda *_: unseen)
    lines = seen.lines(file, best(), Store())
    assert len(lines) == len(parts) and all(part in line for part, line in zip(parts, lines, strict=True))


def test_no_test_score_is_independent_of_settings_that_were_chosen_on_all_folds(file, monkeypatch):
    monkeypatch.setattr(seen.inner, "unseen_seeds", lambda *_: [2])
    store = Store()
    store.all.clear()
    chosen = replace(file, chosen_on_all_folds=True)
    assert seen.unseen_seeds(chosen, [1, 2]) == seen.seeds_to_record(chosen) == []
    assert seen.seeds_to_record(file) is None  # neither that nor a study
    assert seen.lines(chosen, best(), store) == [f"no test score is independent: {seen.CHOSEN}"]


@pytest.mark.parametrize("name", ["baseline_esc10", "multitask_timit"])
def test_experiments_that_were_chosen_on_all_folds_say_so(name):
    experiment = config.load_experiment(str(LAB.parents[1] / "experiments" / f"{name}.toml"))
    assert experiment.chosen_on_all_folds and experiment.acknowledged == ()


def test_the_optimism_is_logged_as_what_the_study_score_was_better_by(file, monkeypatch):
    monkeypatch.setattr(seen, "unseen_seeds", lambda *_: [2])
    store = Store()
    line = seen.lines(file, best(), store)[-1]
    assert store.logged == {"optimism/groups": pytest.approx(0.1)}
    assert line.endswith("+0.1000 (the study's score is 0.1000 better than this one)")


@pytest.mark.parametrize(
    ("gain", "words"), [(-0.0562, "0.0562 worse than"), (0.2, "0.2000 better than"), (0.0, "equal to")]
)
def test_optimism_in_words(gain, words):
    assert seen._compared(gain) == words


def test_what_the_study_estimated_at_its_end_is_told_again(file, monkeypatch):
    monkeypatch.setattr(seen, "unseen_seeds", lambda *_: None)
    store = Store()
    store.all[0].data.metrics.update(
        {"optimism/seeds": 0.02, "optimism/selection": -0.01, "optimism/groups": 1}
    )
    assert seen.lines(file, best(), store) == [
        "optimism of study tiny, as estimated at its end: seeds +0.0200, selection -0.0100"
    ]


def test_best_runs_of_other_settings_say_nothing_of_the_study(file, monkeypatch):
    monkeypatch.setattr(seen, "unseen_seeds", lambda *_: [2])
    store = Store()
    assert len(seen.lines(file, best(units=8), store)) == 1 and store.logged == {}


def test_an_experiment_without_a_study_has_no_such_line(file):
    store = Store()
    store.all.clear()
    assert seen.lines(file, best(), store) == []


def test_the_seeds_are_found_in_the_data(file):
    """One block of clips that is the test side of every seed: a study sees none of it."""
    assert seen.unseen_seeds(file, [1, 2]) == [1, 2]
