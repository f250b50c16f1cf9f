"""TIMIT: on utterances made here and on the sample that is there."""

from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import audio, protocols
from audiomtl.data.datasets import timit
from audiomtl.data.datasets.timit import Settings as Timit
from audiomtl.errors import UserError
from tests.data.datasets.published import check_missing, protocol, real, sound


def test_a_set_that_is_not_there_is_missing_and_says_where_it_belongs(tmp_path):
    check_missing(timit, timit_settings(), tmp_path)


def timit_settings(sa: str = "keep") -> Timit:
    return Timit(dataset="timit", label="dialect", groups=["speaker", "sentence"], sa_sentences=sa)


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


MIXED = [  # recording, endings of the labels
    ("TIMIT/TRAIN/DR2/FAEM0/SX42.WAV", "phn wrd txt"),
    ("timit/train/dr2/faem0/sx42.wav", "PHN WRD TXT"),
    ("Timit/Train/Dr2/Faem0/Sx42.Wav", "Phn wrd TXT"),
    ("timit/TRAIN/dr2/FAEM0/sx42.WAV", "phn WRD txt"),
    ("train/DR2/faem0/SX42.wav", "PHN wrd txt"),
    ("timit/DR2-FAEM0/SX42.WAV", "PHN WRD TXT"),
    ("TIMIT/dr2-FAEM0/sx42.WAV", "phn WRD txt"),
]


@pytest.mark.parametrize(("name", "endings"), MIXED)
def test_timit_is_read_in_any_mixture_of_cases(tmp_path, name, endings):
    utterance(tmp_path, "dr2-faem0/sx42.wav")
    expected = timit.clips(timit_settings(), tmp_path).drop(columns=["path", "part", "side"])
    other = tmp_path / "other"
    utterance(other, name)
    for path in (other / name).parent.iterdir():
        for ending in endings.split():
            if path.suffix.lower() == f".{ending.lower()}":
                stem = path.stem.swapcase() if ending.islower() else path.stem
                path.rename(path.with_name(f"{stem}.{ending}"))
    table = timit.clips(timit_settings(), other)
    assert table["part"].tolist() == ["sample" if "-" in name else "train"]
    assert table.drop(columns=["path", "part", "side"]).equals(expected)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("dr2-faem0/sx42.wav", "dr2-faem0/SX42.WAV"),
        ("dr2-faem0/sx42.wav", "DR2-FAEM0/sx42.wav"),
        ("TRAIN/DR2/FAEM0/SX42.WAV", "train/DR2/FAEM0/SX42.WAV"),
        ("dr2-faem0/sx42.phn", "dr2-faem0/sx42.PHN"),
    ],
)
def test_timit_refuses_two_files_that_differ_only_by_case(tmp_path, first, second):
    for name in (first, second):
        utterance(tmp_path, name if "phn" not in name.lower() else "dr2-faem0/sx42.wav")
    if "phn" in first:
        (tmp_path / second).write_text((tmp_path / first).read_text())
    with pytest.raises(UserError, match="differ only by case") as error:
        timit.clips(timit_settings(), tmp_path)
    assert str(tmp_path / first) in str(error.value) and str(tmp_path / second) in str(error.value)


def test_timit_leaves_a_converted_copy_alone(tmp_path):
    utterance(tmp_path, "TRAIN/DR2/FAEM0/SX42.WAV")
    sound(tmp_path / "TRAIN/DR2/FAEM0/SX42.WAV.wav", 1.0, format="WAV")
    table = timit.clips(timit_settings(), tmp_path)
    assert [Path(path).name for path in table["path"]] == ["SX42.WAV"]


def test_no_phone_or_word_ends_behind_the_sound(tmp_path):
    utterance(tmp_path, "dr2-faem0/sx42.wav", ["0 1600 h#", "1600 17000 aa"])
    (tmp_path / "dr2-faem0" / "sx42.wrd").write_text("1600 17000 ah\n")
    row = timit.clips(timit_settings(), tmp_path).iloc[0]
    assert row["ends"] == [0.1, 1.0] and row["word_ends"] == [1.0]


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
    with pytest.raises(
        UserError, match=r"1 groups by .*'speaker', 'sentence'.* are too few for three splits"
    ):
        protocols.divide(
            timit.clips(timit_settings(), root), timit_settings(), protocol("split", stratified=False), 0
        )
    table = timit.clips(timit_settings("drop"), root)
    assert len(table) == 96 and table.attrs["left_out"] == {"sa_sentences": 24}
    sides = protocols.divide(
        table,
        timit_settings("drop").model_copy(update={"label": "sex"}),
        protocol("split", stratified=False),
        0,
    ).sides()
    for group in ("speaker", "sentence"):
        values = [set(rows[group]) for rows in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
