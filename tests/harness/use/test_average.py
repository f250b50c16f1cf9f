"""The mean of several models: of every family whose answers have one, in memory and on disk."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import audiomtl
from audiomtl import config
from audiomtl.data import audio
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.harness.use import average
from audiomtl.harness.use.average import Average
from audiomtl.harness.use.evaluate import clips_of, evaluate
from audiomtl.harness.use.models import opened
from audiomtl.nn.fit import seed_everything
from tests.small_multitask import HEAD
from tests.surroundings.families import raw_settings

CLASSES = {"kind": {**HEAD, "kind": "clip_class"}}
CASES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "baseline tags": {"data__label": "tags", "data__labels": "several"},
    "fusion": {},
    "mil": {},
    "mil tags": {"data__label": "tags", "data__labels": "several", "pooling__name": "mean"},
    "multitask": {"heads": CLASSES, "coupling": {}, "scores": {"kind_accuracy": "maximize"}, "decoding": {}},
    "transfer": {},
}


@pytest.fixture(scope="module")
def trained(saved, tmp_path_factory) -> Callable[[str], Average]:
    """Two trainings of one epoch, whose seeds divide the clips in different ways."""
    made: dict[str, Average] = {}

    def of(name: str) -> Average:
        if name in made:
            return made[name]
        family, changes = name.split(" ")[0], dict(CASES[name])
        tables = {key: changes.pop(key) for key in [*changes] if isinstance(changes[key], dict)}
        raw = raw_settings(family, saved / "sounds", **changes) | tables
        raw = raw if family == "baseline" else config.override(raw, {"training.epochs": 1})
        model, settings = config.family("model", family), config.settings_of(raw, name)
        members = []
        for seed in (1, 2):
            seed_everything(seed)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIOMTL_CACHE", str(saved / "cache"))
                prepared = model.prepare(settings, seed)
            tf.config.run_functions_eagerly(True)  # tracing takes longer than these trainings
            try:
                members.append(model.train(settings, prepared, seed, lambda epoch, scores: True, None))
            finally:
                tf.config.run_functions_eagerly(False)
        made[name] = Average(tuple(members), (1, 2), ("one", "two"))
        return made[name]

    return of


def written(mean: Average, folder: Path) -> str:
    average.family_of(config.family("model", mean.settings.model)).save(mean, folder / "model")
    return str(folder)


def recordings(saved: Path, rate: int) -> list[Recording]:
    table = pd.read_parquet(saved / "sounds" / "clips.parquet")[:6]
    return [
        Recording(
            row["clip_id"], audio.load(saved / "sounds" / row["path"], sample_rate=rate), {str(k): v for k, v in row.items()}
        )
        for row in table.to_dict("records")
    ]  # fmt: skip


def labelled(saved: Path, here: Path) -> Path:
    """A table of all clips."""
    table = pd.read_parquet(saved / "sounds" / "clips.parquet")
    paths = [str(saved / "sounds" / path) for path in table["path"]]
    table.assign(path=paths).to_parquet(here / "clips.parquet")
    return here / "clips.parquet"


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_the_mean_of_the_models_answers_also_when_it_is_read_again(
    name, saved, trained, here
) -> None:
    mean = trained(name)
    use, model = (config.family(part, mean.settings.model) for part in ("use", "model"))
    given = recordings(saved, 16000)
    each = [use.respond(member, given) for member in mean.members]
    loaded = audiomtl.load(written(mean, here / "out"))
    assert loaded.gives == use.gives(mean.settings) and "out, mean of seeds 1, 2 (" in repr(loaded)
    differ = 0.0
    for number, response in enumerate(loaded.loaded.use.respond(loaded.loaded.fitted, given)):
        answers = [one[number].answers for one in each]
        for answer, found in response.answers.items():
            values = "probabilities" if hasattr(found, "probabilities") else "scores"
            ours, (first, second) = getattr(found, values), [getattr(one[answer], values) for one in answers]
            np.testing.assert_allclose(ours, (first + second) / 2, rtol=0, atol=1e-6)
            differ = max(differ, float(np.abs(first - second).max()))
    assert differ > 1e-3  # the models do not say the same

    clips = labelled(saved, here)
    found = loaded.evaluate(clips)
    tables = []
    for member in mean.members:
        outputs = model.outputs(member, use.examples(member, clips_of(loaded.loaded, str(clips))))
        made = model.predict(member, outputs)
        tables.append(made["predictions"] if isinstance(made, dict) else made)
    columns = [column for column in tables[0] if "probability_" in column]
    np.testing.assert_allclose(
        found.tables["predictions"][columns],
        (tables[0][columns].to_numpy() + tables[1][columns].to_numpy()) / 2,
        rtol=0,
        atol=1e-6,
    )
    assert len(columns) == 3 and found.clips == 30 and found.scores["value"].notna().all()


def test_scores_that_walk_over_the_network_again_are_left_out(saved, trained, here) -> None:
    scores = evaluate(opened(written(trained("fusion"), here / "out")), str(labelled(saved, here))).scores
    assert set(scores["score"]) == {"accuracy", "balanced_accuracy", "loss"}


def test_scores_over_time_are_the_mean_of_the_models_streams(saved, trained, here) -> None:
    mean, path = trained("mil"), saved / "sounds" / "03.wav"
    use = config.family("use", "mil")
    singles = [[row for _, row in use.stream(member, path).scores] for member in mean.members]
    loaded = opened(written(mean, here / "out"))
    found = [row for _, row in loaded.use.stream(loaded.fitted, path).scores]
    np.testing.assert_allclose(found, np.mean(singles, axis=0), rtol=0, atol=1e-6)
    assert not hasattr(average.use_of(config.family("use", "baseline")), "stream")


def test_each_model_takes_the_statistics_of_all_recordings(saved) -> None:
    """`adapted` walks over the recordings once for every model, also where a walk reads files."""
    use = config.family("use", "baseline")
    seen: list[list[str]] = []
    own = type("own", (), vars(use) | {"adapted": staticmethod(lambda member, some: (seen.append([one.name for one in some]), member)[1])})  # fmt: skip
    given = [Recording("a", np.zeros(9, np.float32)), Recording("b", np.zeros(9, np.float32))]
    mean = Average(("one", "two"), (1, 2), ("", ""))
    assert average.use_of(own).adapted(mean, given).members == ("one", "two")
    assert seen == [["a", "b"], ["a", "b"]]


def test_models_that_have_no_mean_are_refused(saved, trained, here) -> None:
    mean = trained("mil")
    first, second = mean.members
    with pytest.raises(UserError, match=r"^here: one model has no average; at least two are needed$"):
        average.checked(replace(mean, members=(first,), seeds=(1,)), "here")
    others = replace(second, known=replace(second.known, classes=("a", "b", "z")))
    with pytest.raises(
        UserError,
        match=r"^here: classes: seed 1 knows a, b, c, but seed 2 a, b, z: only models with the same",
    ):
        average.checked(replace(mean, members=(first, others)), "here")
    changed = first.settings.model_copy(
        update={"features": first.settings.features.model_copy(update={"bands": 20})}
    )
    with pytest.raises(
        UserError, match=r"^here: features.bands = 16 of seed 1, but 20 of seed 2: only models with the same"
    ):
        average.checked(replace(mean, members=(first, replace(second, settings=changed))), "here")
    with pytest.raises(UserError, match=r'^x: model = "ctc": the answers of this family are not prob'):
        average.refuse_family("ctc", "x")


def test_heads_without_a_mean_are_refused(trained) -> None:
    first, second = trained("multitask").members
    kinds = {"kind": "segments", "threshold": 0.5}
    segments = first.settings.heads["kind"].model_copy(update=kinds)
    settings = first.settings.model_copy(update={"heads": {"kind": segments}})
    pair = (replace(first, settings=settings), replace(second, settings=settings))
    with pytest.raises(UserError, match=r"heads.kind: the answers of a head of kind segments are not prob"):
        average.checked(Average(pair, (1, 2), ("", "")), "here")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no JSON", "is not that of an averaged model"),
        ("{}", "is not that of an averaged model"),
        ('{"model": "mil", "models": []}', "names no models"),
        ('{"model": "mil", "models": [{"folder": "../x", "seed": 1, "run": ""}]}', "no saved model in this"),
        (
            '{"model": "mil", "models": [{"folder": "seed_9", "seed": 9, "run": ""}]}',
            "seed_9: no saved model",
        ),
    ],
)
def test_folders_that_hold_no_average(trained, here, content, reason) -> None:
    place = written(trained("mil"), here / "out")
    (here / "out" / "model" / "average.json").write_text(content)
    with pytest.raises(UserError, match=re.escape(reason)) as error:
        opened(place)
    assert "\n" not in str(error.value)


def test_what_only_a_single_model_does_is_said(saved, trained, here) -> None:
    place = written(trained("transfer"), here / "out")
    with pytest.raises(UserError, match=r"is the mean of 2 models; only a single model has embeddings: load"):
        audiomtl.load(place).embed(saved / "sounds" / "00.wav")
    assert audiomtl.load(Path(place) / "model" / "seed_2").embed(saved / "sounds" / "00.wav")
    assert json.loads((here / "out" / "model" / "average.json").read_text())["models"][1] == {
        "folder": "seed_2",
        "seed": 2,
        "run": "two",
    }
