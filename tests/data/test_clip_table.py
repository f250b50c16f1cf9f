"""Rows as a person wrote them become a clip table: names cleaned, cells typed, nobody's column overwritten."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio, catalog, clip_table, protocols
from audiomtl.data.datasets import manifest
from audiomtl.settings.protocol import Protocol


@pytest.mark.parametrize(
    "value",
    [
        "a.wav",
        "b/a.wav",
        "b/a",
        "b.c/a",
        "a.b.wav",
        "a.",
        "a..wav",
        ".a",
        ".a.wav",
        "b/.a",
        "./a.wav",
        "../a.wav",
        "b//a.wav",
        "b/./a.wav",
        "b/../a.wav",
        "/x/a.wav",
        "b/",
        "b/.",
        "ü ä/ö.x.flac",
        "a.w v",
        "..",
        ".",
        "a\nb.wav",
    ],
)
def test_paths_are_joined_as_pathlib_does(value):
    for root in (Path("/project/mine"), Path("/x")):
        path = Path(value)
        path = path.relative_to(root) if path.is_relative_to(root) else path
        assert clip_table._joined(value, root) == str(root / value)
        assert clip_table._stem(value, root) == str(path.with_suffix("") if path.name else path)


# ---------------------------------------------------------------- identity


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight recordings of 0.5 s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    for number in range(8):
        y = 0.1 * np.random.default_rng(number).standard_normal(4000)
        audio.save(tmp_path / f"{number}.wav", y.clip(-1, 1), sample_rate=8000)
    return tmp_path


def read(rows: dict[str, Any], kind: str = "csv", **changes: Any) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    if kind == "csv":
        table.to_csv("clips.csv", index=False)
    else:
        table.to_parquet("clips.parquet")
    values = {"dataset": "manifest", "table": f"clips.{kind}", "groups": ["speaker"], "on_bad": "error"}
    return catalog.clips(manifest.Settings(**{**values, **changes}))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_speaker_in_several_unicode_forms_is_one_and_never_on_two_sides(folder, kind):
    forms = ["Zoë", "Zoe\u0308", "Zoë ", "Zoë\u00a0"]
    rows = {
        "path": [f"{number}.wav" for number in range(8)],
        "speaker": [*forms, "Anna", "Ben", "Cem", "Dora"],
        "label": list("xyxyxyxy"),
    }
    table = read(rows, kind, label="label")
    assert table["speaker"].tolist()[:4] == ["Zoë"] * 4
    protocol = Protocol(
        kind="split", column="", test_share=0.25, validation_share=0.25, stratified=False, leaky=False
    )
    data = manifest.Settings(
        dataset="manifest", table="clips.csv", label="label", groups=["speaker"], on_bad="error"
    )
    for seed in range(20):
        sides = protocols.divide(table, data, protocol, seed).sides()
        assert sum("Zoë" in set(side["speaker"]) for side in sides.values()) == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_leading_zeros_tell_two_speakers_apart(folder, kind):
    table = read({"path": ["0.wav", "1.wav"], "speaker": ["001", "1"]}, kind)
    assert table["speaker"].tolist() == ["001", "1"]


def test_numbers_of_parquet_are_names_as_text(folder):
    rows = {"path": ["0.wav", "1.wav"], "speaker": [7, 12], "label": [1.0, 2.0]}
    table = read(rows, "parquet", label="label")
    assert table["speaker"].tolist() == ["7", "12"] and table["label"].tolist() == ["1", "2"]


def test_variants_can_be_kept(folder):
    rows = {"path": ["0.wav", "1.wav", "2.wav"], "speaker": ["a", "A", "b"], "label": ["x|y", "X", "z"]}
    table = read(rows, label="label", on_variants="keep")
    assert table["speaker"].tolist() == ["a", "A", "b"] and table["label"].tolist() == ["x|y", "X", "z"]


@pytest.mark.parametrize("names", [["seconds"], ["seconds", "recording_seconds"]])
def test_columns_of_the_user_stay_and_the_length_is_found_beside_them(folder, names):
    rows = {"path": ["0.wav", "1.wav"], "speaker": ["a", "b"]} | {name: [7, 8] for name in names}
    table = read(rows)
    assert all(table[name].tolist() == [7, 8] for name in names)
    assert catalog.seconds(table).tolist() == [0.5, 0.5]
    assert catalog.seconds(table.iloc[:1]).tolist() == [0.5]
    assert catalog.seconds(read({"path": ["0.wav"], "speaker": ["a"]})).tolist() == [0.5]
    assert catalog.seconds(pd.DataFrame({"clip_id": ["a"]})).isna().all()


@pytest.mark.parametrize(("on_disk", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_paths_find_files_in_another_unicode_form(folder, on_disk, written):
    (folder / "0.wav").rename(folder / unicodedata.normalize(on_disk, "Zoë.wav"))
    table = read({"path": [unicodedata.normalize(written, "Zoë.wav"), " 1.wav"], "speaker": ["a", "b"]})
    assert table["clip_id"].tolist() == ["1", "Zoë"] and all(Path(path).is_file() for path in table["path"])


def test_paths_of_another_column_folder_and_system(folder):
    (folder / "more").mkdir()
    for name in ("0.wav", "1.wav"):
        (folder / name).rename(folder / "more" / name)
    rows = {"file": ["more\\0.wav", "more/1.wav"], "speaker": ["a", "b"]}
    assert read(rows, path_column="file")["file"].tolist() == rows["file"]
    rows = {"file": ["0.wav", "1.wav"], "speaker": ["a", "b"]}
    table = read(rows, path_column="file", path_folder="more")
    assert table["clip_id"].tolist() == ["0", "1"] and table["file"].tolist() == rows["file"]


def test_numbers_called_starts_are_times_only_beside_phones(folder):
    rows = {"path": ["0.wav", "1.wav"], "speaker": ["a", "b"], "starts": [12.5, 80]}
    assert read(rows)["starts"].tolist() == [12.5, 80.0]
    assert read({**rows, "phones": ["a", "b"], "starts": [0.1, 0.2]})["starts"].tolist() == [[0.1], [0.2]]


def test_files_in_other_columns_are_found_beside_the_table(folder):
    rows = {"path": ["0.wav", "1.wav"], "speaker": ["a", "b"], "vocals_path": ["2.wav", "none.wav"]}
    table = read(rows)
    assert table["vocals_path"].tolist() == [str(folder / "2.wav"), "none.wav"]
    (folder / "2.wav").write_bytes((folder / "3.wav").read_bytes())
    assert catalog.fingerprint(read(rows)) != catalog.fingerprint(table.assign(vocals_path="none.wav"))
