"""The key of a clip table: every byte that a row names, and nothing of where it lies."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import catalog
from audiomtl.errors import UserError


def table(folder: Path) -> pd.DataFrame:
    """Three clips with a recording, its vocals, two stems in a list, a label and a number."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(3):
        for kind in ("mix", "vocals", "bass", "drums"):
            path = folder / f"{kind}_{number}.wav"
            if not path.exists():
                path.write_bytes(f"{kind} {number}".encode())
        paths = {kind: str(folder / f"{kind}_{number}.wav") for kind in ("mix", "vocals", "bass", "drums")}
        stems = [paths["bass"], paths["drums"]]
        rows.append(
            {
                "clip_id": f"c{number}",
                "path": paths["mix"],
                "vocals_path": paths["vocals"],
                "stems": stems,
                "label": "a",
                "age": 3.0,
            }
        )
    return pd.DataFrame(rows)


def test_the_same_data_elsewhere_have_the_same_key(tmp_path: Path) -> None:
    before = catalog.fingerprint(table(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert catalog.fingerprint(table(tmp_path / "there")) == before
    assert catalog.fingerprint(table(tmp_path / "here").iloc[::-1]) == before


@pytest.mark.parametrize("file", ["mix_1.wav", "vocals_1.wav", "drums_2.wav"])
def test_the_bytes_of_every_file_of_a_row_count(tmp_path: Path, file: str) -> None:
    before = catalog.fingerprint(table(tmp_path / "clips"))
    (tmp_path / "clips" / file).write_bytes(b"rewritten")
    assert catalog.fingerprint(table(tmp_path / "clips")) != before


@pytest.mark.parametrize("change", [{"label": "b"}, {"age": 4.0}, {"clip_id": "c9"}])
def test_cells_and_columns_count(tmp_path: Path, change: dict) -> None:
    whole = table(tmp_path / "clips")
    before = catalog.fingerprint(whole)
    for name, value in change.items():
        whole.loc[1, name] = value
    assert catalog.fingerprint(whole) != before
    assert catalog.fingerprint(table(tmp_path / "clips").rename(columns={"label": "kind"})) != before


def row_by_row(table: pd.DataFrame) -> str:
    """`fingerprint` as it was until 0.1.0: trainings are found again under its values."""

    def content(value: Any) -> Any:
        value = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(value, list | tuple):
            return [content(item) for item in value]
        if isinstance(value, dict):
            return {str(name): content(item) for name, item in value.items()}
        if isinstance(value, str | Path) and os.path.isabs(value):
            if os.path.isfile(value):
                return {"file": hashlib.sha256(Path(value).read_bytes()).hexdigest()}
            return os.path.basename(value)
        return str(value) if isinstance(value, Path) else value

    columns = sorted(table.columns)
    total = hashlib.sha256(json.dumps(columns, ensure_ascii=False).encode())
    for _, row in table.sort_values("clip_id").iterrows():
        total.update(json.dumps([content(row[name]) for name in columns], ensure_ascii=False).encode())
    return total.hexdigest()[:12]


COLUMNS: dict[str, list] = {
    "text": ["a", 'ü "quoted" \\ \n', ""],
    "missing": [None, "b", float("nan")],
    "numbers": [1, 2, 3],
    "floats": [0.1, float("nan"), float("inf")],
    "narrow": list(np.array([0.1, 0.2, 0.3], np.float32)),
    "flags": [True, False, True],
    "mixed": [1, 2.5, "c"],
    "arrays": [np.arange(3), np.zeros((2, 2), np.float32), np.array([True])],
    "tuples": [("a", 1), (), ({"b": Path("c")},)],
    "gone": ["/no/such/file.wav", Path("/no/such/ü.wav"), Path("relative.wav")],
    "folder": ["/tmp", "/", "//"],
}


@pytest.mark.parametrize("column", COLUMNS)
def test_the_key_is_that_of_the_row_by_row_way(tmp_path: Path, column: str) -> None:
    rows = table(tmp_path / "clips")
    rows[column] = pd.Series(COLUMNS[column], index=rows.index)
    assert catalog.fingerprint(rows) == row_by_row(rows)
    assert catalog.fingerprint(rows.iloc[[2, 0, 1]]) == row_by_row(rows)
    rows["kind"] = pd.Categorical(["b", "a", "b"])
    rows["nested"] = [{"stem": path, 1: [path]} for path in rows["vocals_path"]]
    assert catalog.fingerprint(rows) == row_by_row(rows)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(tmp_path / "clips")

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    with pytest.raises(UserError, match=r"clips/.*\.wav: cannot be read \(Permission denied\)"):
        catalog.fingerprint(rows)


# ---------------------------------------------------------------- signature


def test_a_signature_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(tmp_path / "clips")
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("a file was opened"))
    assert catalog.signature(rows) == catalog.signature(rows.iloc[::-1])


def _touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


def _swap(path: Path) -> None:
    state, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("file", ["mix_1.wav", "vocals_0.wav", "bass_2.wav", "clips.csv"])
@pytest.mark.parametrize("change", [_touch, _swap, Path.unlink, lambda path: path.write_bytes(b"longer" * 9)])
def test_a_change_of_any_file_changes_the_signature(
    tmp_path: Path, file: str, change: Callable[[Path], object]
) -> None:
    rows = table(tmp_path / "clips")
    rows.attrs[catalog.TABLE] = str(tmp_path / "clips" / "clips.csv")
    (tmp_path / "clips" / "clips.csv").write_text("clip_id,path\n")
    before = catalog.signature(rows)
    assert catalog.signature(rows) == before
    change(tmp_path / "clips" / file)
    assert catalog.signature(rows) != before


@pytest.mark.parametrize("name", ["meta/labels.csv", "audio/new.wav"])
def test_the_annotations_of_a_data_set_are_in_its_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("AUDIOMTL_DATA", str(tmp_path / "data"))
    for folder in ("meta", "audio", "../other"):
        (tmp_path / "data" / "set" / folder).mkdir(parents=True)
    rows = table(tmp_path / "data" / "set" / "audio")
    before = catalog.signature(rows)
    (tmp_path / "data" / "other" / "another.wav").write_bytes(b"of another data set")
    assert catalog.signature(rows) == before
    (tmp_path / "data" / "set" / name).write_text("new")
    assert catalog.signature(rows) != before
