"""The key of a clip table: every byte that a row names, and nothing of where it lies."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from audiomtl.data import catalog


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
