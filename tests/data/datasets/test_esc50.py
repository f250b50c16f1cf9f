"""ESC-50: on layouts made here and on what is there."""

from pathlib import Path

import pandas as pd
import pytest

from audiomtl.data import protocols
from audiomtl.data.datasets import esc50
from audiomtl.data.datasets.esc50 import Settings as Esc50
from audiomtl.errors import MissingData, UserError
from tests.data.datasets.published import protocol, real, sound


def esc_settings(*classes: str) -> Esc50:
    return Esc50(dataset="esc50", label="category", groups=["src_file"], classes=list(classes))


def esc_layout(root: Path, suffix: str = ".wav", absent: int = 0) -> Path:
    rows = [
        (f"{fold}-{fold}00{number}-A-{number}", fold, number, ("dog", "rain")[number])
        for fold in (1, 2, 3)
        for number in (0, 1)
    ]
    (root / "meta").mkdir(parents=True)
    table = pd.DataFrame(
        [
            (f"{stem}.wav", fold, target, name, True, stem.split("-")[1], "A")
            for stem, fold, target, name in rows
        ],
        columns=["filename", "fold", "target", "category", "esc10", "src_file", "take"],
    )
    table.to_csv(root / "meta" / "esc50.csv", index=False)
    for stem, *_ in rows[absent:]:
        sound(root / "audio" / f"{stem}{suffix}")
    return root


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
@pytest.mark.parametrize("name", ["ESC-50", "ESC-50-master", "."])
def test_esc50_is_found_in_its_layouts(tmp_path, suffix, name):
    esc_layout(tmp_path / name, suffix)
    table = esc50.clips(esc_settings(), tmp_path)
    assert len(table) == 6 and table["clip_id"].is_monotonic_increasing
    assert (
        table["src_file"].tolist()[0] == "1000"
        and table["fold"].dtype.kind == "i"
        and table.attrs["left_out"] == {}
    )
    assert list(table.columns) == [
        "clip_id",
        "path",
        "seconds",
        "category",
        "fold",
        "side",
        "src_file",
        "target",
        "take",
        "esc10",
    ]
    assert set(esc50.clips(esc_settings("rain"), tmp_path)["category"]) == {"rain"}


def test_esc50_counts_what_is_absent_and_refuses_what_is_not_there(tmp_path):
    with pytest.raises(MissingData, match="ESC-50 is not in"):
        esc50.clips(esc_settings(), tmp_path)
    esc_layout(tmp_path / "ESC-50", absent=2)
    assert esc50.clips(esc_settings(), tmp_path).attrs["left_out"] == {"missing": 2}
    with pytest.raises(UserError, match='"dogs" is not a class of ESC-50; did you mean dog'):
        esc50.clips(esc_settings("dogs"), tmp_path)
    for path in (tmp_path / "ESC-50" / "audio").iterdir():
        path.unlink()
    with pytest.raises(MissingData, match="has none of the 6 recordings"):
        esc50.clips(esc_settings(), tmp_path)


def test_esc50_names_a_broken_recording_and_a_column_that_its_list_lacks(tmp_path):
    root = esc_layout(tmp_path / "ESC-50")
    broken = root / "audio" / "1-1000-A-0.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"1-1000-A-0.wav: cannot be read as sound"):
        esc50.clips(esc_settings(), tmp_path)
    pd.read_csv(root / "meta" / "esc50.csv").drop(columns=["fold", "take"]).to_csv(
        root / "meta" / "esc50.csv", index=False
    )
    with pytest.raises(UserError, match="has no column fold, take"):
        esc50.clips(esc_settings(), tmp_path)


def test_the_real_esc10_keeps_its_sources_together_in_every_fold():
    table = esc50.clips(esc_settings(), real("ESC-50"))
    assert len(table) == 320 and table["category"].nunique() == 10
    tested = []
    for seed in range(4):
        divided = protocols.divide(table, esc_settings(), protocol("folds", "fold"), seed)
        tested += divided.test["clip_id"].tolist()
    assert sorted(tested) == sorted(table["clip_id"])


def test_a_source_in_two_folds_is_refused(tmp_path):
    esc_layout(tmp_path / "ESC-50")
    table = esc50.clips(esc_settings(), tmp_path).assign(src_file=["1", "2", "3", "4", "1", "6"])
    with pytest.raises(UserError, match="src_file 1 is in both"):
        protocols.divide(table, esc_settings(), protocol("folds", "fold"), 0)
