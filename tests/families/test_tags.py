"""Several labels per clip in every family that takes them: what is learned, scored, written, saved and refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog, tags
from audiomtl.errors import UserError
from audiomtl.nn.fit import seed_everything
from tests.surroundings.families import raw_settings

RATE = 16000
TONES = {"high": 3000.0, "low": 400.0, "middle": 1200.0}
CLIPS, SINGERS = 60, 15
DATA = {"data.label": "tags", "data.labels": "several", "data.groups": ["singer"]}
SPLIT = {
    "protocol.kind": "split",
    "protocol.column": "",
    "protocol.test_share": 0.25,
    "protocol.validation_share": 0.25,
    "protocol.stratified": True,
}
HEADS = {
    "heads": {"labels": {"kind": "tags", "weight": 1.0}},
    "coupling": {},
    "scores": {"labels_mean_average_precision": "maximize", "labels_roc_auc": "maximize"},
}
FAMILIES: dict[str, dict[str, Any]] = {
    "baseline": {"classifier.name": "logistic_regression", "classifier.inverse_regularization": 0.1},
    "mil": {
        "training.epochs": 12,
        "optimizer.learning_rate": 0.01,
        "pooling.name": "max",
        "network.dropout": 0.0,
    },
    "multitask": {
        "training.epochs": 15,
        "optimizer.schedule": "constant",
        "optimizer.learning_rate": 0.005,
        "features.scaling": "per_band_train",
        "balancing.method": "fixed",
        "encoder.filters": [8, 8],
        "encoder.pool_frames": [2, 2],
        "encoder.pool_bands": [2, 2],
        "encoder.dropout": 0.0,
        "encoder.noise": 0.0,
    },
    "transfer": {
        "training.epochs": 12,
        "optimizer.learning_rate": 0.02,
        "extractor.kind": "statistics",
        "extractor.patch_seconds": 0.3,
        "extractor.hop_seconds": 0.15,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Tones of a tenth of the clip's length in noise: none, one or several to a clip; each singer has a level of
    noise.
    """
    place = tmp_path_factory.mktemp("tags")
    rows = []
    for number in range(CLIPS):
        random = np.random.default_rng(number)
        held = [name for bit, name in enumerate(TONES) if (number + number // 8) >> bit & 1]
        y = 0.01 * (1 + number % SINGERS / 5) * random.standard_normal(round(random.uniform(0.6, 1.0) * RATE))
        times = np.arange(round(0.3 * RATE)) / RATE
        for name in held:
            start = random.integers(0, len(y) - len(times))
            y[start : start + len(times)] += 0.1 * np.sin(2 * np.pi * TONES[name] * times)
        audio.save(place / f"{number:02}.wav", y, sample_rate=RATE)
        rows.append({"path": f"{number:02}.wav", "tags": held, "singer": f"s{number % SINGERS:02}"})
    pd.DataFrame(rows).to_parquet(place / "clips.parquet")
    return place


def raw(family: str, folder: Path, **changes: Any) -> dict[str, Any]:
    made = raw_settings(family, folder) | (HEADS if family == "multitask" else {})
    given = {path.replace("__", "."): value for path, value in changes.items()}
    return config.override(made, DATA | SPLIT | FAMILIES.get(family, {}) | given)


@pytest.fixture(scope="module")
def trained(folder):
    made: dict[str, Any] = {}

    def of(family: str) -> Any:
        if family not in made:
            settings, model = config.settings_of(raw(family, folder), family), config.family("model", family)
            seed_everything(1)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
                prepared = model.prepare(settings, 1)
            made[family] = (
                model,
                prepared,
                model.train(settings, prepared, 1, lambda epoch, scores: True, None),
            )
        return made[family]

    return of


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns_and_its_scores_are_scikit_learn_s(trained, family) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    model, prepared, fitted = trained(family)
    found = model.outputs(fitted, prepared.examples["test"])
    scores, tables = model.evaluate(fitted, found), model.predict(fitted, found)
    table = tables["predictions"] if isinstance(tables, dict) else tables
    prefix = "labels_" if family == "multitask" else ""
    classes = sorted(TONES)
    truth = np.stack([tags.target(tuple(cell), classes) for cell in table[f"{prefix}truth"]])
    p = table[[f"{prefix}probability_{name}" for name in classes]].to_numpy()
    precision = scores[f"{prefix}mean_average_precision"]
    assert precision == pytest.approx(average_precision_score(truth, p, average="macro"), abs=1e-12)
    assert scores[f"{prefix}roc_auc"] == pytest.approx(roc_auc_score(truth, p, average="macro"), abs=1e-12)
    for number, name in enumerate(classes):
        each = scores[f"{prefix}average_precision_{name}"]
        assert each == pytest.approx(average_precision_score(truth[:, number], p[:, number]), abs=1e-12)
    assert p.sum(axis=1).max() > 1.3  # classes do not exclude each other
    assert precision > truth.mean() + 0.25 and scores[f"{prefix}roc_auc"] > 0.8
    rows = prepared.splits.test.set_index("clip_id")["tags"]
    assert [tuple(cell) for cell in table[f"{prefix}truth"]] == rows[table["clip_id"]].tolist()
    said = [[name for name, value in zip(classes, row, strict=True) if value >= 0.5] for row in p]
    assert table[f"{prefix}predicted"].tolist() == said and f"{prefix}margin" not in table
    assert [name for name in config.scores(raw(family, Path("x")))] == [
        f"{prefix}mean_average_precision",
        f"{prefix}roc_auc",
    ]
    assert not any("average_precision_" in name for epoch in fitted.fit.history for name in epoch)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_singer_is_on_two_sides_and_every_tag_on_each(trained, family) -> None:
    _, prepared, _ = trained(family)
    sides = prepared.splits.sides().values()
    assert sum(rows["singer"].nunique() for rows in sides) == SINGERS
    assert all(tags.classes_of(rows["tags"]) == tuple(sorted(TONES)) for rows in sides)
    assert any(cell == () for rows in sides for cell in rows["tags"])  # clips without tags are clips


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_and_files_for_mlflow(trained, family, tmp_path) -> None:
    model, prepared, fitted = trained(family)
    found = model.outputs(fitted, prepared.examples["validation"])
    model.pictures(fitted, found, tmp_path)
    names = {path.name for path in tmp_path.glob("*.png")}
    assert any(name.startswith("average_precision") for name in names) and "confusion.png" not in names
    tables = model.predict(fitted, found)
    table = tables["predictions"] if isinstance(tables, dict) else tables
    table.to_parquet(tmp_path / "table.parquet")
    column = "labels_truth" if family == "multitask" else "truth"
    again = pd.read_parquet(tmp_path / "table.parquet")[column]
    assert [list(cell) for cell in again] == table[column].tolist()


# ---------------------------------------------------------------- tables


def written(folder: Path, name: str, form: str) -> dict[str, Any]:
    """The table in another form, and the settings that read it."""
    table = pd.read_parquet(folder / "clips.parquet")
    lists = [list(cell) for cell in table["tags"]]
    table = table.drop(columns="tags")
    if form == "columns":
        for tag in TONES:
            table[tag] = [int(tag in cell) for cell in lists]
        changes: dict[str, Any] = {"label": list(TONES)}
    elif form == "json":
        table["tags"] = [json.dumps(cell) for cell in lists]
        changes = {"label": "tags", "labels": "several"}
    else:  # text
        table["tags"] = [" ; ".join(cell) or "[]" for cell in lists]
        changes = {"label": "tags", "labels": "several", "label_separator": ";"}
    table.to_csv(folder / f"{name}.csv", index=False)
    return {
        "dataset": "manifest",
        "table": str(folder / f"{name}.csv"),
        "on_bad": "error",
        "groups": [],
        **changes,
    }


@pytest.mark.parametrize("form", ["columns", "json", "text"])
def test_a_table_in_every_form_says_the_same(folder, form, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
    made = raw("baseline", folder)
    lists = catalog.clips(config.settings_of(made, "x").data)
    other = config.settings_of(made | {"data": written(folder, form, form)}, "x")
    saved = other.model_dump(mode="json", exclude_none=True)  # as `contract.save` writes them
    assert other.data.labels == "several" and config.settings_of(saved, "again") == other
    found = catalog.clips(other.data)
    assert found[other.data.label].tolist() == lists["tags"].tolist()
    assert ("high", "low") in found[other.data.label].tolist()
    assert config.scores(made | {"data": written(folder, form, form)}) == config.scores(made)


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "text without a separator": (
        {"tags": ["rain", "wind"] * 30},
        {},
        'row 1: tags: "rain": must be a list such as ["rain", "wind"]; or set data.label_separator, such as ";"',
    ),
    "text where a list is meant, in JSON": (
        {"tags": ['"rain"', "[]"] * 30},
        {},
        "row 1: tags: ",
    ),
    "another separator": (
        {"tags": ["rain,wind", "rain"] * 30},
        {"label_separator": ";"},
        'data.label_separator = ";": no cell of tags contains it, but 30 of 60 contain ","; set that',
    ),
    "JSON that does not end": (
        {"tags": ['["rain"', "[]"] * 30},
        {},
        "row 1: tags: ",
    ),
    "a number in a list": ({"tags": ["[0.5]", "[]"] * 30}, {}, "must be a list of classes, but one is 0.5"),
    "nothing in a list": (
        {"tags": ['["a", null]', "[]"] * 30},
        {},
        "must be a list of classes, but one is null",
    ),
    "a list in a list": ({"tags": ['[["a"]]', "[]"] * 30}, {}, 'must be a list of classes, but one is ["a"]'),
    "an empty name": ({"tags": ['["a", " "]', "[]"] * 30}, {}, "has an empty class; remove it"),
    "a missing cell": (
        {"tags": ['["a"]', None] * 30},
        {},
        "row 2: 01: no tags; write [] for a clip without tags",
    ),
    "no tags at all": (
        {"tags": ["[]"] * 60},
        {},
        'data.label = "tags": no clip has a tag; at least one is needed',
    ),
    "the same tags everywhere": (
        {"tags": ['["a"]'] * 60},
        {},
        "no tag of tags has clips with it and clips without it in validation",
    ),
    "two spellings": (
        {"tags": ['["Rain"]', '["rain"]', "[]"] * 20},
        {},
        '"Rain" (row 1, row 4, row 7 and 17 more) and "rain" (row 2, row 5, row 8 and 17 more): probably one name',
    ),
    "a column that is not there": (
        {"tag": ["[]"] * 60},
        {},
        'data.label = "tags": no such column; did you mean tag?; it has path, singer, tag',
    ),
    "a list where one class is meant": (
        {"tags": [["a"], ["b"]] * 30},
        {"labels": "one"},
        'row 1: tags is a list, but data.labels = "one"; set data.labels = "several"',
    ),
    "an unknown class left out": (
        {"tags": ['["rain"]', "[]"] * 30},
        {"labels_left_out": ["rian"]},
        'data.labels_left_out: no clip has the class "rian"; did you mean rain?',
    ),
    "0, 1 and 2": (
        {"a": [0, 1, 2] * 20, "b": [1, 0, 0] * 20},
        {"label": ["a", "b"], "labels": "several"},
        "row 3: a = 2: must be 0 or 1, because data.label lists this column",
    ),
    "yes and no": (
        {"a": ["yes", "no"] * 30},
        {"label": ["a"]},
        'row 1: a = "yes": must be 0 or 1, because data.label lists this column',
    ),
    "a probability": ({"a": [0.0, 0.7] * 30}, {"label": ["a"]}, "row 2: a = 0.7: must be 0 or 1"),
    "a hole in the columns": (
        {"a": ["0", None, "1"] * 20},
        {"label": ["a"]},
        "row 2: 01: no tags; write [] for a clip without tags",
    ),
    "a column of the list that is not there": (
        {"rain": [0, 1] * 30},
        {"label": ["rain", "wnid"]},
        'data.label = "wnid": no such column; it has path, singer, rain',
    ),
    "a column that is called tags already": (
        {"rain": [0, 1] * 30, "tags": ["x"] * 60},
        {"label": ["rain"]},
        'has a column "tags" already, which would be made of 1 columns of data.label; rename it',
    ),
    "a tag of one singer in no train clip": (
        {"tags": ['["a"]' if n % SINGERS else '["a", "b"]' if n < 30 else "[]" for n in range(CLIPS)]},
        {"fold": True},
        "split: tags b of test (2 clips: 00, 15) is absent from train; assign more groups to train, or leave the"
        " class out (data.labels_left_out)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_line(folder, case, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
    columns, changes, words = BAD[case]
    table = pd.read_parquet(folder / "clips.parquet").drop(columns="tags").assign(**columns)
    place = folder / (f"{case}.parquet" if case.startswith("a list where") else f"{case}.csv")
    table.to_parquet(place) if place.suffix == ".parquet" else table.to_csv(place, index=False)
    data = {"dataset": "manifest", "table": str(place), "on_bad": "error", "groups": ["singer"]}
    data |= {"label": "tags", "labels": "several"} | {k: v for k, v in changes.items() if k != "fold"}
    made = raw("baseline", folder) | {"data": data}
    if changes.get("fold"):
        made = config.override(made, {"protocol.kind": "leave_one_out"})
    with pytest.raises(UserError) as caught:
        config.family("model", "baseline").prepare(config.settings_of(made, "bad.toml"), 0)
    assert words in str(caught.value) and "\n" not in str(caught.value)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no columns": (
        "mil",
        {"data.label": []},
        "data.label = []: must be the name of a column, or a list of different columns of 0 and 1",
    ),
    "a column twice": (
        "mil",
        {"data.label": ["a", "a"]},
        'data.label = ["a", "a"]: must be the name of a column',
    ),
    "columns that are numbers": (
        "mil",
        {"data.label": [1, 2]},
        "data.label = [1, 2]: must be the name of a column",
    ),
    "columns and one class": (
        "mil",
        {"data.label": ["a", "b"], "data.labels": "one"},
        "label_columns = ['a', 'b']: is for several labels per clip; set labels = \"several\" as well",
    ),
    "a separator and one class": (
        "mil",
        {"data.labels": "one", "data.label_separator": ";"},
        'label_separator = ";": is for several labels per clip; set labels = "several" as well',
    ),
    "a separator of columns": (
        "mil",
        {"data.label": ["a", "b"], "data.label_separator": ";"},
        "columns of 0 and 1 have no label_separator; remove one of the two",
    ),
    "many": ("mil", {"data.labels": "many"}, 'data.labels = "many": must be one of "one", "several"'),
    "fusion": (
        "fusion",
        {},
        'data.labels = "several": model = "fusion" does not learn several labels per clip; baseline, mil,'
        " multitask, transfer do",
    ),
    "a head of one class": (
        "multitask",
        {"heads.labels.kind": "clip_class"},
        'heads.labels: kind clip_class learns one class per clip, but data.labels = "several"; use kind = "tags"',
    ),
    "a head of segments": (
        "multitask",
        {"heads.labels.kind": "segments", "heads.labels.threshold": 0.5},
        "heads.labels: kind segments learns one class per clip",
    ),
    "a head of tags and one class": (
        "multitask",
        {"data.labels": "one"},
        'heads.labels: kind tags learns several labels per clip, but data.labels = "one"; set data.labels =',
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_do_not_fit_are_one_line(folder, case) -> None:
    family, changes, words = REFUSED[case]
    with pytest.raises(UserError) as caught:
        config.settings_of(raw(family, folder, **changes), "bad.toml")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("bad.toml: ")
