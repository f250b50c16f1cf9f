"""Every family prepares clips from a table of text cells, and refuses texts where it reads lists."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import catalog
from audiomtl.errors import UserError
from tests.small_multitask import HEAD
from tests.surroundings.families import FAMILIES, raw_settings, sounds

LISTS = ("words", "phones", "starts", "ends", "notes", "passages")
HEADS = {
    kind: {**HEAD, "kind": kind, "column": ""} for kind in ("phones", "melody", "segments", "clip_class")
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty sounds; ``clips.csv`` has what ``clips.parquet`` has."""
    made = sounds(tmp_path_factory.mktemp("own") / "sounds")
    table = pd.read_parquet(made / "clips.parquet")
    for column in LISTS:
        table[column] = [
            json.dumps([getattr(item, "tolist", lambda item=item: item)() for item in cell])
            for cell in table[column]
        ]
    table.rename(columns={"phones": "sounds_of", "notes": "tune"}).to_csv(made / "others.csv", index=False)
    table.to_csv(made / "clips.csv", index=False, sep=";")
    return made


def settings(family: str, folder: Path, table: str, **changes: Any) -> Any:
    raw = raw_settings(family, folder)
    own = {"dataset": "manifest", "table": str(folder / table), "on_bad": "error", "groups": ["source"]}
    raw["data"] = own | ({} if family == "ctc" else {"label": "kind"})
    raw["protocol"] |= {"kind": "folds", "column": "fold"}
    if family == "multitask":
        raw |= {"heads": HEADS, "coupling": {}, "scores": {"loss": "minimize"}}
    return config.settings_of(config.override(raw, changes), family)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_cells_give_what_lists_give(family, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
    model = config.family("model", family)
    written, lists = (
        model.prepare(settings(family, folder, f"clips.{kind}"), 1) for kind in ("csv", "parquet")
    )
    tables = [catalog.clips(settings(family, folder, f"clips.{kind}").data) for kind in ("csv", "parquet")]
    for column in ("clip_id", "kind", "source", "fold", "seconds", *LISTS):
        assert tables[0][column].tolist() == tables[1][column].tolist(), column
    assert repr(written.known) == repr(lists.known) and written.facts == lists.facts
    for side, clips in written.splits.sides().items():
        assert clips["clip_id"].tolist() == lists.splits.sides()[side]["clip_id"].tolist()


@pytest.mark.parametrize(
    ("head", "column", "kind"), [("phones", "sounds_of", "symbols"), ("melody", "tune", "notes")]
)
def test_a_column_of_texts_is_not_read_letter_by_letter(head, column, kind, folder, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
    model = config.family("model", "multitask")
    data = {"data.cells": {}, "heads": {head: {**HEADS[head], "column": column}}}
    raw = settings("multitask", folder, "others.csv", **data)
    with pytest.raises(
        UserError,
        match=rf'heads.{head}: clip clip_00: column {column} has the text .*{column} = "{kind}" in \[data.cells\]',
    ):
        model.prepare(raw, 1)
    named = settings("multitask", folder, "others.csv", **{**data, "data.cells": {column: kind}})
    assert len(model.prepare(named, 1).examples["train"])
