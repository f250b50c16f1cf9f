"""Published sets with phones, words and notes: TIMIT, SONG070, vocadito, MAESTRO, DALI.

On files made here and on what is there.
"""

import gzip
import json
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomtl.data import audio, catalog, protocols, scores
from audiomtl.data.datasets import dali, maestro, song070, timit, vocadito
from audiomtl.data.datasets.dali import Settings as Dali
from audiomtl.data.datasets.maestro import Settings as Maestro
from audiomtl.data.datasets.song070 import Settings as Song070
from audiomtl.data.datasets.timit import Settings as Timit
from audiomtl.data.datasets.vocadito import Settings as Vocadito
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.protocol import Protocol

REAL = Path(os.environ.get("AUDIOMTL_DATA", "data"))


def real(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"no {REAL / name}: set AUDIOMTL_DATA to a folder that has it")
    return REAL


def sound(path: Path, seconds: float, rate: int = 16000, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(rate * seconds), 0.1), rate, **options)


def timit_settings(sa: str = "keep") -> Timit:
    return Timit(dataset="timit", label="dialect", groups=["speaker", "sentence"], sa_sentences=sa)


SETTINGS = {
    timit: timit_settings(),
    song070: Song070(dataset="song070", label="song", groups=[]),
    vocadito: Vocadito(dataset="vocadito", label="singer", groups=[], annotator="A1"),
    maestro: Maestro(dataset="maestro", label="composer", groups=[], years=[]),
    dali: Dali(dataset="dali", label="artist", groups=[]),
}


@pytest.mark.parametrize("reader", SETTINGS, ids=lambda reader: reader.__name__.split(".")[-1])
def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path, reader):
    with pytest.raises(MissingData, match=rf"is not in {tmp_path}.*: put .* there.*(published at|NLTK)"):
        reader.clips(SETTINGS[reader], tmp_path)


# ---------------------------------------------------------------- TIMIT

PHN = [
    "0 1600 h#",
    "1600 3200 q",
    "3200 4800 ao",
    "4800 6400 q",
    "6400 8000 tcl",
    "8000 8800 t",
    "8800 9600 epi",
    "9600 11200 pau",
]
PHN += ["11200 12800 en", "12800 14400 nx", "14400 15000 h#"]


def utterance(root: Path, name: str, phn: list[str] = PHN, **options) -> None:
    """A second of sound and its labels; upper case as in the full corpus where the name is."""
    wav = root / name
    kinds = {"phn": phn, "wrd": ["3200 8800 ought", "11200 14400 in"], "txt": ["0 16000 Ought  in."]}
    sound(wav, 1.0, **{"format": "WAV", **options})
    for kind, lines in kinds.items():
        wav.with_suffix("." + (kind.upper() if wav.suffix == ".WAV" else kind)).write_text(
            "\n".join(lines) + "\n"
        )


@pytest.mark.parametrize(
    "name", ["timit/dr2-faem0/sx42.wav", "dr2-faem0/sx42.wav", "TIMIT/TEST/DR2/FAEM0/SX42.WAV"]
)
def test_timit_is_read_and_folded(tmp_path, name):
    utterance(tmp_path, name)
    row = timit.clips(timit_settings(), tmp_path).iloc[0]
    assert row["clip_id"] == "dr2-faem0-sx42" and row["part"] == ("test" if "TEST" in name else "sample")
    assert (row["speaker"], row["sex"], row["dialect"], row["sentence"], row["text"]) == (
        "faem0",
        "f",
        "dr2",
        "sx42",
        "Ought in.",
    )
    # the glottal stops go to what is before them, silences in a row are one, the last lasts to the end; n and
    # n stay two
    assert row["phones"] == ["sil", "aa", "sil", "t", "sil", "n", "n", "sil"]
    assert row["starts"] == [0, 0.2, 0.4, 0.5, 0.55, 0.7, 0.8, 0.9]
    assert row["ends"] == [0.2, 0.4, 0.5, 0.55, 0.7, 0.8, 0.9, 1.0]
    assert (row["words"], row["word_starts"], row["word_ends"]) == (["ought", "in"], [0.2, 0.7], [0.55, 0.9])


def test_the_39_phones_are_what_61_symbols_fold_to():
    kept = set(timit.PHONES) - {timit.SILENCE}
    assert len(timit.PHONES) == 39 and list(timit.PHONES) == sorted(timit.PHONES)
    assert len(kept | set(timit.FOLDED) | {timit.GLOTTAL_STOP}) == 61 and set(timit.FOLDED.values()) <= set(
        timit.PHONES
    )
    assert not kept & set(timit.FOLDED)
    groups = (  # Lee and Hon, table 2, but silence
        "aa ao|ah ax ax-h|er axr|hh hv|ih ix|l el|m em|n en nx|ng eng|sh zh|uw ux"
    )
    for whole in groups.split("|"):
        phone, *others = whole.split()
        assert [one for one, folded in timit.FOLDED.items() if folded == phone] == others


@pytest.mark.parametrize(
    ("phn", "message"),
    [
        (["0 1600 h#", "1600 3200 zz"], r'sx42, phone 2: "zz" is not one of the 61 symbols'),
        (["0 1600 h#", "1500 3200 aa"], "phone 2: starts at 1500, but must start after 1600"),
        (["0 1600 h#", "16000 17000 aa"], "before the end of the sound"),
        (
            ["0 1600 h#", "1600 3200"],
            r'sx42.phn line 2: "1600 3200" must be first sample < last sample and a label',
        ),
        (["0 0 h#"], "sx42.phn line 1"),
    ],
)
def test_timit_labels_that_are_none_are_refused(tmp_path, phn, message):
    utterance(tmp_path, "dr2-faem0/sx42.wav", phn)
    with pytest.raises(UserError, match=message):
        timit.clips(timit_settings(), tmp_path)


def test_timit_without_a_label_file_is_refused(tmp_path):
    utterance(tmp_path, "dr2-faem0/sx42.wav")
    (tmp_path / "dr2-faem0" / "sx42.wrd").unlink()
    with pytest.raises(UserError, match=r"sx42.wrd: no such file"):
        timit.clips(timit_settings(), tmp_path)


def test_sphere_is_read_when_it_is_pcm_and_refused_by_name_when_compressed(tmp_path):
    wav = tmp_path / "dr2-faem0" / "sx42.wav"
    utterance(tmp_path, "dr2-faem0/sx42.wav", format="NIST", subtype="PCM_16")
    assert wav.read_bytes().startswith(b"NIST_1A")
    assert timit.clips(timit_settings(), tmp_path)["seconds"].tolist() == [1.0]
    assert np.allclose(audio.load(wav, sample_rate=None), 0.1, atol=1e-4)
    header = wav.read_bytes()[:1024].rstrip(b"\0 \n")
    line = b"sample_coding -s26 pcm,embedded-shorten-v2.00"
    old = next((one for one in header.split(b"\n") if one.startswith(b"sample_coding")), b"end_head")
    new = header.replace(old, line if old != b"end_head" else line + b"\nend_head")
    wav.write_bytes(new.ljust(1024) + wav.read_bytes()[1024:])
    with pytest.raises(
        UserError,
        match=r"sx42.wav: NIST SPHERE with sample_coding pcm,embedded-shorten-v2.00, but pcm is needed",
    ):
        timit.clips(timit_settings(), tmp_path)


def shares() -> Protocol:
    values = {
        "test_share": 0.2,
        "validation_share": 0.2,
        "stratified": False,
        "folds": 3,
        "rotations": 1,
        "leaky": False,
        "column": "",
    }
    return Protocol(**{"kind": "split", **values, "test_values": [], "validation_values": []})


def test_the_real_sample_of_timit():
    root = real("timit")
    table = timit.clips(timit_settings(), root)
    assert (
        len(table) == 120
        and table["speaker"].nunique() == 12
        and table["clip_id"].is_unique
        and table["clip_id"].is_monotonic_increasing
    )
    assert table["dialect"].nunique() == 6 and (table["sentence"] == "sa1").sum() == 12
    assert {phone for phones in table["phones"] for phone in phones} == set(timit.PHONES)
    for row in table.itertuples():
        # no time without a phone
        assert row.starts[0] == 0 and row.ends[-1] == row.seconds and row.starts[1:] == row.ends[:-1]
        assert len(row.words) == len(row.word_starts) and max(row.word_ends) <= row.seconds
        assert abs(len(row.words) - len(row.text.split())) <= 2
    sphere = table[table["clip_id"] == "dr1-fvmh0-si836"].iloc[0]
    assert (
        Path(sphere["path"]).read_bytes().startswith(b"NIST_1A")
        and len(audio.load(sphere["path"], sample_rate=None)) == 68813
    )


def test_sentences_that_everybody_reads_tie_all_speakers_together():
    root = real("timit")
    with pytest.raises(UserError, match=r"1 groups by .*'speaker', 'sentence'.* are too few for three sides"):
        protocols.divide(timit.clips(timit_settings(), root), timit_settings(), shares(), 0)
    table = timit.clips(timit_settings("drop"), root)
    assert len(table) == 96 and table.attrs["left_out"] == {"sa_sentences": 24}
    sides = protocols.divide(
        table, timit_settings("drop").model_copy(update={"label": "sex"}), shares(), 0
    ).sides()
    for group in ("speaker", "sentence"):
        values = [set(rows[group]) for rows in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])


# ---------------------------------------------------------------- SONG070


def context(phone: str, note: str, place: int) -> str:
    return f"v@xx^xx-{phone}+o=xx_xx%xx/A:xx-1-xx@xx~xx/D:A4!0#1/E:{note}]0^11=2/4~96!1@60#24+xx]{place}$2|0[12&0]48~1-mp^xx/F:G4#2"


def song_layout(root: Path, lines: list[tuple]) -> None:
    sound(root / "song070" / "nitech_jp_song070_f001_010.wav", 1.0)
    text = "".join(f"{start} {end} {context(*rest)}\n" for start, end, *rest in lines)
    (root / "song070" / "nitech_jp_song070_f001_010.lab").write_text(text)


def test_song070_notes_begin_with_their_consonant_and_equal_ones_stay_two(tmp_path):
    lines = [
        (0, 1000000, "pau", "xx", 1),
        (1000000, 2000000, "k", "Db4", 1),
        (2000000, 4000000, "a", "Db4", 1),
    ]
    lines += [
        (4000000, 5000000, "a", "Db4", 2),
        (5000000, 6000000, "pau", "xx", 2),
        (6000000, 10000000, "N", "C#5", 3),
    ]
    song_layout(tmp_path, lines)
    row = song070.clips(SETTINGS[song070], tmp_path).iloc[0]
    assert (row["singer"], row["song"], row["tempo"], row["seconds"]) == ("f001", "010", 96, 1.0)
    assert (
        row["phones"] == ["pau", "k", "a", "a", "pau", "N"]
        and row["starts"][1] == 0.1
        and row["ends"][-1] == 1.0
    )
    assert row["notes"] == ((0.1, 0.4, 61), (0.4, 0.5, 61), (0.6, 1.0, 73))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            (0, 20000000, "a", "A4", 1),
            r"line 1: 0.0 to 2.0 s must follow the line before and end with the sound, 1.000 s",
        ),
        ((0, 1000000, "a", "H4", 1), r'line 1: "H4" is not a pitch'),
        ((5, 5, "a", "A4", 1), "line 1: .*must be start < end and a full context"),
        ((0, 1000000, "a", "A0", 1), None),
        ((0, 1000000, "a", "G0", 1), r"f001_010.lab: the note 19 .*outside the 88 keys"),
    ],
)
def test_song070_lines_that_are_none_are_refused(tmp_path, line, message):
    song_layout(tmp_path, [line])
    if message is None:
        assert song070.clips(SETTINGS[song070], tmp_path).iloc[0]["notes"] == ((0.0, 0.1, 21),)
        return
    with pytest.raises(UserError, match=message):
        song070.clips(SETTINGS[song070], tmp_path)


def test_the_real_song070():
    table = song070.clips(SETTINGS[song070], real("song070"))
    row = table.iloc[0]
    assert (
        len(table) == 1
        and row["tempo"] == 100
        and len(row["phones"]) == len(row["starts"]) == len(row["ends"]) == 135
    )
    assert len(row["notes"]) == 64 and {pitch for *_, pitch in row["notes"]} == {65, 67, 69, 72, 74}
    assert row["ends"][-1] == pytest.approx(row["seconds"], abs=0.001) and catalog.fingerprint(table)


# ---------------------------------------------------------------- vocadito


def vocadito_layout(
    root: Path, notes: str = "0.25,440.0,0.25\n0.5,445.0,0.25\n", f0: str = "0.0,0.0\n0.01,439.5\n"
) -> None:
    sound(root / "Audio" / "vocadito_2.wav", 1.0)
    for folder in ("F0", "Notes", "Lyrics"):
        (root / "Annotations" / folder).mkdir(parents=True, exist_ok=True)
    (root / "vocadito_metadata.csv").write_text(
        "track_id,singer_id,average_pitch,language\n1,S1,50,Tagalog\n2,S2,65,Spanish\n"
    )
    (root / "Annotations" / "F0" / "vocadito_2_f0.csv").write_text(f0)
    (root / "Annotations" / "Notes" / "vocadito_2_notesA1.csv").write_text(notes)
    (root / "Annotations" / "Lyrics" / "vocadito_2_lyrics.txt").write_text(
        "una línea\nOtra \n", encoding="utf-8"
    )


def test_vocadito_is_read(tmp_path):
    vocadito_layout(tmp_path / "vocadito")
    table = vocadito.clips(SETTINGS[vocadito], tmp_path)
    row = table.iloc[0]
    assert (row["clip_id"], row["singer"], row["language"], row["text"]) == (
        "vocadito_2",
        "S2",
        "Spanish",
        "una línea Otra",
    )
    assert (
        row["notes"] == ((0.25, 0.5, 69), (0.5, 0.75, 69))
        and row["f0_hz"] == [0.0, 439.5]
        and row["f0_times"] == [0.0, 0.01]
    )
    assert table.attrs["left_out"] == {"missing": 1}
    with pytest.raises(UserError, match=r"notesA2.csv: no such file"):
        vocadito.clips(Vocadito(dataset="vocadito", label="singer", groups=[], annotator="A2"), tmp_path)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("0.25,440.0,0.5\n0.5,300.0,0.25\n", r"notesA1.csv: the notes 69 .* and 62 .* overlap"),
        ("0.25,0.0,0.5\n", r"notesA1.csv: a note has 0.0 Hz"),
        ("0.25,440.0\n", r"notesA1.csv: must have 3 columns of finite numbers, but has 2"),
        ("a,b,c\n", r"notesA1.csv: cannot be read as a table of numbers"),
        ("", r"notesA1.csv: cannot be read as a table of numbers"),
    ],
)
def test_vocadito_notes_that_are_none_are_refused(tmp_path, notes, message):
    vocadito_layout(tmp_path / "vocadito", notes)
    with pytest.raises(UserError, match=message):
        vocadito.clips(SETTINGS[vocadito], tmp_path)


def test_the_real_vocadito():
    root = real("vocadito")
    tables = [
        vocadito.clips(Vocadito(dataset="vocadito", label="singer", groups=[], annotator=one), root)
        for one in ("A1", "A2")
    ]
    assert [len(table["notes"][0]) for table in tables] == [59, 64] and tables[0].attrs["left_out"] == {
        "missing": 39
    }
    assert len(tables[0]["f0_hz"][0]) == 5722 and tables[0]["text"][0].startswith("ako ay may lobo lumipad")


# ---------------------------------------------------------------- MAESTRO


def maestro_layout(root: Path, kind: str) -> None:
    names = (
        "canonical_composer",
        "canonical_title",
        "split",
        "year",
        "midi_filename",
        "audio_filename",
        "duration",
    )
    rows = [
        dict(
            zip(
                names,
                ("Bach", f"Piece, {n}", split, year, f"{year}/{n}.midi", f"{year}/{n}.wav", 1.0),
                strict=True,
            )
        )
        for n, (split, year) in enumerate((("train", 2004), ("test", 2018), ("validation", 2018)))
    ]
    for row in rows[:2]:
        sound(root / row["audio_filename"], 1.0)
        scores.write_notes(root / row["midi_filename"], {"piano": [(0.25, 0.5, 60), (0.25, 0.75, 64)]})
    if kind == "csv":
        lines = [",".join(f'"{row[name]}"' for name in names) for row in rows]
        (root / "maestro-v3.0.0.csv").write_text("\n".join([",".join(names), *lines]))
    else:
        columns = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in names}
        (root / "maestro-v3.0.0.json").write_text(json.dumps(columns if kind == "columns" else rows))


@pytest.mark.parametrize("kind", ["csv", "columns", "rows"])
def test_maestro_is_read_from_its_lists(tmp_path, kind, capsys):
    maestro_layout(tmp_path / "maestro", kind)
    (tmp_path / "maestro" / "maestro-v1.0.0.csv").write_text("an older list")
    table = maestro.clips(SETTINGS[maestro], tmp_path)
    assert table[["clip_id", "composer", "title", "side", "year"]].to_numpy().tolist() == [
        ["0", "Bach", "Piece, 0", "train", 2004],
        ["1", "Bach", "Piece, 1", "test", 2018],
    ]
    assert np.allclose(table["notes"][1], [(0.25, 0.5, 60), (0.25, 0.75, 64)])
    assert table.attrs["left_out"] == {"missing": 1} and capsys.readouterr().out == ""
    only = maestro.clips(Maestro(dataset="maestro", label="composer", groups=[], years=[2018]), tmp_path)
    assert only["clip_id"].tolist() == ["1"] and only.attrs["left_out"] == {"missing": 1}


def test_a_maestro_list_without_a_column_and_one_that_is_none_are_refused(tmp_path):
    maestro_layout(tmp_path / "maestro", "rows")
    (tmp_path / "maestro" / "maestro-v3.0.0.csv").write_text("year,split\n2004,train\n")
    with pytest.raises(
        UserError,
        match=r"maestro-v3.0.0.csv: has no column canonical_composer, canonical_title, midi_filename",
    ):
        maestro.clips(SETTINGS[maestro], tmp_path)
    (tmp_path / "maestro" / "maestro-v3.0.0.csv").unlink()
    (tmp_path / "maestro" / "maestro-v3.0.0.json").write_text("{")
    with pytest.raises(UserError, match=r"maestro-v3.0.0.json: cannot be read"):
        maestro.clips(SETTINGS[maestro], tmp_path)


def test_the_real_maestro_whose_recording_was_cut(capsys):
    table = maestro.clips(SETTINGS[maestro], real("maestro"))
    assert len(table) == 1 and len(table["notes"][0]) == 4197 and table["seconds"][0] == 2.0
    assert "1 recordings end before their notes do: MIDI-Unprocessed_Chamber3" in capsys.readouterr().out


# ---------------------------------------------------------------- DALI


class Shell:
    """Pickled under the name of DALI's class."""


def annotation(path: Path, notes: list[tuple[float, float, float]], found: object = None, **more) -> None:
    """An annotation file as DALI writes it: a pickle, protocol 2, of an object of ``DALI.Annotations``."""
    spans = [
        {"text": f"la{n}", "time": [on, off], "freq": [hertz, hertz], "index": n}
        for n, (on, off, hertz) in enumerate(notes)
    ]
    info = {"artist": "A", "title": "T", "metadata": {"language": "english"}, "scores": {"NCC": 0.9}}
    shell = Shell()
    shell.__dict__.update(
        {
            "info": info,
            "annotations": {"type": "horizontal", "annot": {"notes": spans, "words": spans}},
            **more,
        }
    )
    module = types.ModuleType("DALI.Annotations")
    module.Annotations = Shell
    old, names = (
        {name: sys.modules.get(name) for name in ("DALI", "DALI.Annotations")},
        (Shell.__module__, Shell.__qualname__),
    )
    try:
        sys.modules.update({"DALI": types.ModuleType("DALI"), "DALI.Annotations": module})
        Shell.__module__, Shell.__qualname__ = "DALI.Annotations", "Annotations"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(pickle.dumps(shell if found is None else found, protocol=2)))
    finally:
        Shell.__module__, Shell.__qualname__ = names
        for name, one in old.items():
            sys.modules.pop(name) if one is None else sys.modules.update({name: one})


def dali_layout(root: Path) -> None:
    annotation(root / "annotations" / "good.gz", [(0.1, 0.2, 440.0), (0.2, 0.3, 452.0)])
    annotation(root / "annotations" / "chord.gz", [(0.1, 0.2, 440.0), (0.15, 0.3, 220.0)])
    annotation(root / "annotations" / "zero.gz", [(0.1, 0.2, 0.0)])
    annotation(root / "annotations" / "absent.gz", [])
    for name in ("good", "chord", "zero"):
        sound(root / "audio" / f"{name}.mp3", 0.5, format="MP3")


def test_dali_is_read_and_what_is_left_out_is_told(tmp_path, capsys):
    dali_layout(tmp_path / "dali")
    table = dali.clips(SETTINGS[dali], tmp_path)
    assert table["clip_id"].tolist() == ["good"] and table.attrs["left_out"] == {"missing": 1, "notes": 2}
    row = table.iloc[0]
    assert (
        row["notes"] == ((0.1, 0.2, 69), (0.2, 0.3, 69))
        and row["words"] == ["la0", "la1"]
        and row["word_ends"] == [0.2, 0.3]
    )
    assert (row["artist"], row["language"], row["alignment"], row["text"]) == ("A", "english", 0.9, "la0 la1")
    assert (
        "1 songs are left out, missing: absent" in (out := capsys.readouterr().out)
        and "2 songs are left out, notes: chord, zero" in out
    )


class Harmful:
    """What a pickle can do that is loaded without care."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Harmful(), r"bad.gz: refers to posix.mkdir, but only DALI.Annotations.Annotations is allowed"),
        (np.float64(1.0), r"bad.gz: refers to numpy"),
        ({"a": 1}, r"bad.gz: is not a DALI annotation"),
    ],
)
def test_a_pickle_of_anything_else_is_refused_by_name_and_does_nothing(tmp_path, monkeypatch, found, message):
    monkeypatch.chdir(tmp_path)
    annotation(tmp_path / "bad.gz", [], found)
    with pytest.raises(UserError, match=message):
        dali.read(tmp_path / "bad.gz")
    annotation(tmp_path / "bad.gz", [], more=found)
    if not isinstance(found, dict):
        with pytest.raises(UserError, match=message):
            dali.read(tmp_path / "bad.gz")
    assert not (tmp_path / "harmed").exists()


def test_broken_annotations_are_refused_in_one_line(tmp_path):
    path = tmp_path / "bad.gz"
    annotation(path, [(0.1, 0.2, 440.0)])
    whole = path.read_bytes()
    plain = gzip.decompress(whole)
    rng = np.random.default_rng(0)
    broken = [b"", b"no gzip", whole[:-20], gzip.compress(b""), gzip.compress(b"no pickle")]
    broken += [gzip.compress(plain[:cut]) for cut in rng.integers(1, len(plain), 20)]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"bad.gz: cannot be read as a DALI annotation \(.+\)"):
            dali.read(path)


def test_an_annotation_without_a_field_is_refused(tmp_path):
    dali_layout(tmp_path / "dali")
    annotation(tmp_path / "dali" / "annotations" / "good.gz", [], annotations={"annot": {"words": []}})
    with pytest.raises(
        UserError,
        match=r"good.gz: an annotation needs info and annot with words and notes \(KeyError\('notes'\)\)",
    ):
        dali.clips(SETTINGS[dali], tmp_path)


def test_the_real_dali_whose_recording_was_cut(capsys):
    table = dali.clips(SETTINGS[dali], real("dali"))
    assert table["words"].tolist() == [["why", "do", "they"]] and [
        pitch for *_, pitch in table["notes"][0]
    ] == [85, 85, 85]
    assert "1 songs end before their notes do" in capsys.readouterr().out and catalog.fingerprint(table)
