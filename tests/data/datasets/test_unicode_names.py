"""A file is found whatever Unicode form its name has: disks of a Mac write "ë" as "e" and a mark."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from audiomtl.data import scores
from audiomtl.data.datasets import dali, esc50, gtzan, jamendolyrics, maestro, vocadito
from tests.data.datasets.published import sound
from tests.data.datasets.test_dali import annotation

NAME = "Zoë Đặng"
Layout = Callable[[Path, str, str], None]  # root, name in lists, name on the disk


def jamendo(root: Path, listed: str, stored: str) -> None:
    sound(root / "mp3" / f"{stored}.mp3", 1.0)
    for folder, ending, text in (
        ("annotations/words", ".csv", "word_start,word_end\n0.5,0.75\n"),
        ("lyrics", ".words.txt", "la\n"),
    ):
        (root / folder).mkdir(parents=True)
        (root / folder / f"{stored}{ending}").write_text(text)
    row = {"Filepath": f"{listed}.mp3", "Artist": "A", "Title": "T", "Genre": "Pop", "Language": "English"}
    pd.DataFrame([row]).to_csv(root / "JamendoLyrics.csv", index=False)


def dali_set(root: Path, listed: str, stored: str) -> None:
    annotation(root / "annotations" / f"{listed}.gz", [(0.1, 0.2, 440.0)])
    sound(root / "audio" / f"{stored}.mp3", 0.5, format="MP3")


def vocadito_set(root: Path, listed: str, stored: str) -> None:
    sound(root / "Audio" / f"vocadito_{stored}.wav", 1.0)
    for folder, ending, text in (
        ("F0", "_f0.csv", "0.0,440.0\n"),
        ("Notes", "_notesA1.csv", "0.25,440.0,0.25\n"),
        ("Lyrics", "_lyrics.txt", "la"),
    ):
        (root / "Annotations" / folder).mkdir(parents=True)
        (root / "Annotations" / folder / f"vocadito_{stored}{ending}").write_text(text)
    row = {"track_id": listed, "singer_id": "S1", "average_pitch": 50, "language": "English"}
    pd.DataFrame([row]).to_csv(root / "vocadito_metadata.csv", index=False)


def maestro_set(root: Path, listed: str, stored: str) -> None:
    sound(root / "2004" / f"{stored}.wav", 1.0)
    scores.write_notes(root / "2004" / f"{stored}.midi", {"piano": [(0.25, 0.5, 60)]})
    row = dict.fromkeys(maestro.LISTED, "x") | {"year": 2004, "split": "train"}
    row |= {"midi_filename": f"2004/{listed}.midi", "audio_filename": f"2004/{listed}.wav"}
    pd.DataFrame([row]).to_csv(root / "maestro-v3.0.0.csv", index=False)


def esc_set(root: Path, listed: str, stored: str) -> None:
    sound(root / "audio" / f"{stored}.wav")
    (root / "meta").mkdir()
    row = dict.fromkeys(("filename", *esc50.LISTED), "dog") | {"filename": f"{listed}.wav"}
    row |= {"fold": 1, "target": 0, "esc10": True, "src_file": "1", "take": "A"}
    pd.DataFrame([row]).to_csv(root / "meta" / "esc50.csv", index=False)


def gtzan_set(root: Path, listed: str, stored: str) -> None:
    sound(root / "genres" / "jazz" / f"{stored}.wav")
    for name in gtzan.LISTS.values():
        (root / name).write_text(f"jazz/{listed}.wav\n" if name == "train_filtered.txt" else "")


SETS: list[tuple[ModuleType, Layout, dict[str, object], str]] = [
    (jamendolyrics, jamendo, {}, NAME),
    (dali, dali_set, {}, NAME),
    (vocadito, vocadito_set, {"annotator": "A1"}, NAME),
    (maestro, maestro_set, {"years": []}, NAME),
    (esc50, esc_set, {"classes": []}, NAME),
    (gtzan, gtzan_set, {"fault_filtered": True}, NAME.replace(" ", "_")),
]


@pytest.mark.parametrize(
    ("module", "layout", "more", "name"), SETS, ids=[row[0].__name__.split(".")[-1] for row in SETS]
)
@pytest.mark.parametrize(("in_list", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_name_of_another_unicode_form_is_found(
    tmp_path: Path,
    module: ModuleType,
    layout: Layout,
    more: dict[str, object],
    name: str,
    in_list: str,
    on_disk: str,
) -> None:
    listed, stored = (unicodedata.normalize(form, name) for form in (in_list, on_disk))
    layout(tmp_path, listed, stored)
    dataset = module.__name__.rpartition(".")[2]
    table = module.clips(module.Settings(dataset=dataset, label="", groups=[], **more), tmp_path)
    assert len(table) == 1 and not table.attrs.get("left_out")
    assert unicodedata.normalize("NFC", table["clip_id"][0]).endswith(name)
    assert Path(table["path"][0]).is_file()
    assert table["words"][0] == ["la"] if module is jamendolyrics else True
