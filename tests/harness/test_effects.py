"""Comparison of ablations with best runs: on which clips, over what, in which families."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.harness import effects
from audiomtl.harness.effects import SAW, UNSEEN, clustered


def run(name: str, seed: int, test: float | None, validation: float, unseen: str = "") -> Any:
    metrics = {"best/validation/accuracy": validation} | ({} if test is None else {"test/accuracy": test})
    tags = {UNSEEN: unseen} if unseen else {}
    return SimpleNamespace(
        data=SimpleNamespace(metrics=metrics, tags=tags), info=SimpleNamespace(run_id=f"{name}{seed}")
    )


def experiment(
    questions: dict[str, str] | None = None,
    kind: str = "folds",
    *,
    seeds: tuple = (1, 2),
    leaky: bool = False,
    on_all_folds: bool = False,
    model: str = "transfer",
) -> Any:
    protocol = SimpleNamespace(kind=kind, rotations=1, leaky=leaky, scored=("validation", "test"))
    settings = SimpleNamespace(seeds=seeds, protocol=protocol)
    raw = {"model": model, "data": {"groups": ["speaker"]}}
    return SimpleNamespace(
        name="made",
        raw=raw,
        settings=settings,
        questions=questions or {},
        chosen_on_all_folds=on_all_folds,
    )


def clips(right: list[int], fold: int, speakers: int = 5) -> pd.DataFrame:
    """Predictions of two clips per speaker."""
    names = [f"f{fold}c{number}" for number in range(len(right))]
    speaker = [f"f{fold}s{number // 2 % speakers}" for number in range(len(right))]
    said = ["a" if one else "b" for one in right]
    return pd.DataFrame({"clip_id": names, "speaker": speaker, "truth": "a", "predicted": said})


BEST = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
WORSE = [1, 0, 1, 0, 1, 0, 1, 0, 0, 0]  # 3 of 10 fewer


@pytest.fixture(autouse=True)
def studied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects.seen, "has_study", lambda name: True)


def compared(
    file: Any, tables: dict[str, pd.DataFrame], best: list[Any], **arms: list[Any]
) -> effects.Effects:
    by_seed = {name: dict(enumerate(runs, start=1)) for name, runs in arms.items()}
    return effects.effects(
        file, dict(enumerate(best, start=1)), by_seed, lambda one, side: tables.get(one.info.run_id)
    )


def both(
    questions: dict[str, str] | None = None,
    unseen: tuple[str, str] = ("true", "true"),
    on_all_folds: bool = False,
    **more: Any,
) -> Any:
    """Two folds of one seed each, ablations ``worse`` and ``equal``."""
    tables = {
        f"{name}{seed}": clips(right, seed, **more)
        for name, right in (("best", BEST), ("worse", WORSE), ("equal", BEST))
        for seed in (1, 2)
    }
    best = [run("best", seed, 0.7, 0.9, unseen[seed - 1]) for seed in (1, 2)]
    arms = {
        name: [run(name, seed, score, 0.5) for seed in (1, 2)]
        for name, score in (("worse", 0.4), ("equal", 0.7))
    }
    return compared(experiment(questions, on_all_folds=on_all_folds), tables, best, **arms)


def test_several_folds_are_compared_on_test_paired_over_groups() -> None:
    found = both()
    assert (found.side, found.bias, found.seeds) == ("test", "", (1, 2))
    assert found.over == "groups: 10 values of speaker (20 clips)"
    assert found.of["worse"].value == pytest.approx(-0.3) and found.best == pytest.approx(0.7)
    # each of 10 speakers has 2 clips: 3 of 5 in each fold lose one
    lost = np.array([-1, -1, -1, 0, 0] * 2) / 2
    half = 2.262157 * lost.std(ddof=1) / math.sqrt(10)  # 9 degrees of freedom, from a printed table
    assert found.of["worse"].high == pytest.approx(-0.3 + half)


def test_equal_ablations_have_no_difference_and_no_width() -> None:
    equal = both({"equal": "Is it the same?"}).of["equal"]
    assert (equal.value, equal.low, equal.high, equal.significant) == (0.0, 0.0, 0.0, False)


def test_only_an_ablation_that_answers_a_question_can_be_significant() -> None:
    assert not both().of["worse"].significant
    asked = both({"worse": "Is it worse?"}).of["worse"]
    assert asked.significant and asked.question == "Is it worse?"


def test_a_family_has_wider_intervals_than_an_ablation_alone() -> None:
    tables = {f"best{seed}": clips(BEST, seed) for seed in (1, 2)}
    arms: dict[str, list[Any]] = {}
    for number in range(4):
        name = f"arm{number}"
        right = [one if place % 4 != number else 1 - one for place, one in enumerate(BEST)]
        tables |= {f"{name}{seed}": clips(right, seed) for seed in (1, 2)}
        arms[name] = [run(name, seed, 0.5, 0.5) for seed in (1, 2)]
    best = [run("best", seed, 0.7, 0.9, "true") for seed in (1, 2)]
    alone = compared(experiment(), tables, best, **arms)
    family = compared(experiment(dict.fromkeys(arms, "Which one?")), tables, best, **arms)
    for name in arms:
        assert family.of[name].value == alone.of[name].value
        assert family.of[name].low < alone.of[name].low


@pytest.mark.parametrize(
    ("unseen", "speakers", "seeds", "biased"),
    [
        (("true", "false"), 5, (1,), False),  # one unseen fold of 5 speakers
        (("true", "false"), 4, (1, 2), True),  # of too few
        (("false", "false"), 5, (1, 2), True),
        (("", ""), 5, (1, 2), True),  # not known
    ],
)
def test_folds_that_the_study_saw_are_left_out_or_named(
    unseen: tuple[str, str], speakers: int, seeds: tuple[int, ...], biased: bool
) -> None:
    found = both(unseen=unseen, speakers=speakers)
    assert found.seeds == seeds and (SAW in found.bias) is biased


@pytest.mark.parametrize("kind", ["split", "blocks"])
def test_one_test_split_that_the_study_never_saw_judges_ablations(kind: str) -> None:
    """Two seeds on the same clips: each clip counts once, and no side is favoured."""
    tables = {
        f"{name}{seed}": clips(right, 0)
        for name, right in (("best", BEST), ("arm", WORSE))
        for seed in (1, 2)
    }
    best = [run("best", seed, 0.7, 0.9, "true") for seed in (1, 2)]
    arm = [run("arm", seed, 0.4, 0.9) for seed in (1, 2)]
    found = compared(experiment(kind=kind), tables, best, arm=arm)
    assert (found.side, found.bias, found.seeds) == ("test", "", (1, 2))
    assert found.over == "groups: 5 values of speaker (10 clips)"
    assert found.of["arm"].value == pytest.approx(-0.3)
    without = compared(experiment(kind=kind), {}, best, arm=arm)
    assert without.over == "2 seeds, which score the same clips"


def test_windows_of_the_same_clips_stay_on_validation_and_name_the_bias() -> None:
    best = [run("best", seed, 0.7, 0.9) for seed in (1, 2)]
    arm = [run("arm", 1, None, 0.8), run("arm", 2, None, 0.7)]
    found = compared(experiment(kind="split", leaky=True), {}, best, arm=arm)
    assert (found.side, found.bias) == ("validation", SAW)
    assert found.over == "2 seeds, which score the same clips"
    assert found.of["arm"].value == pytest.approx(-0.15)


def test_settings_that_were_chosen_on_all_folds_have_no_unseen_one() -> None:
    """Not even where an earlier command has tagged the runs so."""
    found = both(unseen=("true", "true"), on_all_folds=True)
    assert found.seeds == (1, 2) and found.bias.startswith(effects.seen.CHOSEN)
    assert both(unseen=("true", "false"), on_all_folds=True).seeds == (1, 2)


@pytest.mark.parametrize(
    ("score", "columns"),
    [
        ("phones_error_rate", {"phones_edits": [10 * (1 - one) for one in BEST], "phones_phones": 20}),
        ("voice_onset_f1", {"voice_onset_f1": BEST}),
    ],
)
def test_scores_of_heads_are_compared_over_groups(
    score: str, columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the counts that the family names."""
    monkeypatch.setattr(effects.config, "scores", lambda raw: {score: "maximize"})
    tables = {}
    for name in ("best", "arm"):
        for seed in (1, 2):
            own = clips(BEST, seed).drop(columns=["truth", "predicted"]).assign(**columns)
            first = next(iter(columns))
            tables[f"{name}{seed}"] = own if name == "best" else own.assign(**{first: own[first] / 2})
    runs = {name: [run(name, seed, 0.5, 0.5, "true") for seed in (1, 2)] for name in ("best", "arm")}
    for one in (*runs["best"], *runs["arm"]):
        one.data.metrics |= {f"test/{score}": 0.5}
    found = compared(experiment(model="multitask"), tables, runs["best"], arm=runs["arm"])
    assert found.over == "groups: 10 values of speaker (20 clips)"
    assert found.of["arm"].value == pytest.approx(-found.best / 2)


def test_ablations_of_an_earlier_version_were_not_tested_and_say_how() -> None:
    best = [run("best", seed, 0.7, 0.9) for seed in (1, 2)]
    found = compared(experiment(), {}, best, arm=[run("arm", seed, None, 0.8) for seed in (1, 2)])
    assert found.side == "validation" and "`audiomtl ablations made` scores all" in found.bias


@pytest.mark.parametrize("other", ["clips", "one group", "no predictions"])
def test_where_clips_or_groups_do_not_allow_it_folds_are_compared(other: str) -> None:
    if other == "one group":
        found = both(speakers=1)
        assert found.over == "2 folds"
    else:
        tables = {f"best{seed}": clips(BEST, seed) for seed in (1, 2)}
        if other == "clips":
            tables |= {f"arm{seed}": clips(BEST[:8], seed) for seed in (1, 2)}
        best = [run("best", seed, 0.7, 0.9, "true") for seed in (1, 2)]
        arm = [run("arm", 1, 0.6, 0.5), run("arm", 2, 0.4, 0.5)]
        found = compared(experiment(), tables, best, arm=arm)
        assert found.over == "2 folds" and found.of["arm"].value == pytest.approx(-0.2)
    assert all(math.isfinite(one.low) for one in found.of.values())


def test_two_columns_of_groups_are_clustered_by_both() -> None:
    influence = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    rows, columns = np.array(["a", "a", "b", "b"]), np.array(["x", "y", "x", "y"])
    assert clustered(influence, [rows])[0, 0] == pytest.approx(2 * (4 + 4))
    assert clustered(influence, [columns])[0, 0] == 0.0
    # V1 + V2 - V12, but at least that of one column
    assert clustered(influence, [rows, columns])[0, 0] == pytest.approx(16.0)
