"""Names: one name in several forms becomes one, two names stay two, and variants are seen."""

import unicodedata
from pathlib import Path

import pytest

from audiomtl.data import identity


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (["Zoë", "Zoe\u0308", " Zoë ", "Zoë\u00a0", "\u200bZoë", "Zoë\t", "\ufeffZoë"], "Zoë"),
        (["Anna B", "Anna  B", "Anna\u00a0B", "Anna\u2003B", " Anna\tB\n"], "Anna B"),
        (["001"], "001"),
        (["1"], "1"),
        (["music"], "music"),
        (["AC/DC"], "AC/DC"),
        (["고양이", unicodedata.normalize("NFD", "고양이")], "고양이"),
    ],
)
def test_forms_of_a_name_are_one(written, name):
    assert {identity.clean(one) for one in written} == {name}


def test_numbers_of_parquet_are_texts():
    assert identity.cleaned([1, 2.0, 2.5, True, None], [False] * 4 + [True]) == [
        "1",
        "2",
        "2.5",
        "True",
        None,
    ]


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["Music", "music", "MUSIC"], True),
        (["hip hop", "hip-hop"], True),
        (["s1-1", "s1_1"], True),
        (["Ａ", "A"], True),
        (["Straße", "STRASSE"], True),
        (["1", "1.0"], True),
        (["001", "1"], False),
        (["s1-1", "s11"], False),
        (["Zoë", "Zoe"], False),
        (["1.5", "15"], False),
        (["a", "b", None, "a"], False),
    ],
)
def test_variants_of_a_name_are_seen(names, same):
    assert bool(identity.variants(names, [f"row {number}" for number, _ in enumerate(names)])) == same


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_file_is_found_in_another_unicode_form(tmp_path: Path, form: str):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    place = tmp_path / unicodedata.normalize(other, "Größe")
    place.mkdir()
    file = place / unicodedata.normalize(form, "zoë.wav")
    file.write_text("")
    asked = tmp_path / unicodedata.normalize(form, "Größe") / unicodedata.normalize(other, "zoë.wav")
    assert Path(identity.existing(str(asked))).samefile(file)
    assert identity.existing(str(tmp_path / "ö.wav")) == str(tmp_path / "ö.wav")
