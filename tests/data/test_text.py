"""Transcripts become phones: words of any script, three sources of phones, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import catalog, text
from audiomtl.errors import UserError
from audiomtl.settings.text import Text

LETTERS = Text(units="letters")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hallo, Welt!", ["Hallo", "Welt"]),
        ("don’t 'quote' rock-'n'-roll", ["don't", "quote", "rock-n-roll"]),
        ("Son-ne -- E‑Mail", ["Son-ne", "E-Mail"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
        ("می‌خواهم بروم", ["می‌خواهم", "بروم"]),
        ("Zoe\u0308 42 km", ["Zoë", "42", "km"]),
        ("你好，世界", ["你好", "世界"]),
        ("... -- ' \t\n", []),
        ("", []),
    ],
)
def test_words_keep_the_marks_of_their_script(written: str, words: list[str]) -> None:
    assert text.words_of(written) == words


@pytest.fixture
def dictionary(tmp_path: Path) -> str:
    (tmp_path / "a.dict").write_text("hallo\th a\nwelt\tv ɛ\ne-mail\ti m\n", encoding="utf-8")
    return str(tmp_path / "a.dict")


def test_each_source_gives_the_phones_of_each_word(dictionary: str) -> None:
    words = ["Hallo", "WELT", "Hallo"]
    assert text.phones_of(words, LETTERS) == [list("hallo"), list("welt"), list("hallo")]
    assert text.phones_of(words, Text(dictionary=dictionary)) == [["h", "a"], ["v", "ɛ"], ["h", "a"]]
    assert text.phones_of(["Son-ne"], Text(language="de")) == [["z", "oː", "n", "n", "eː"]]
    # letters are those of the language, marks included
    assert text.phones_of(["don't", "हिन्दी"], LETTERS) == [list("dont"), ["हि", "न्", "दी"]]


def test_words_that_the_dictionary_lacks_follow_the_setting(dictionary: str) -> None:
    words = ["e-mail", "mond", "welt-mond"]
    with pytest.raises(UserError) as caught:
        text.phones_of(words, Text(dictionary=dictionary), place="column text")
    assert "lacks 1 of 3 words: mond; add them" in str(caught.value)
    said = text.phones_of(words, Text(dictionary=dictionary, unknown="letters"))
    assert said == [["i", "m"], list("mond"), ["v", "ɛ", *"mond"]]
    spoken = text.phones_of(words, Text(dictionary=dictionary, unknown="espeak", language="de"))
    assert spoken == [["i", "m"], ["m", "oː", "n", "t"], ["v", "ɛ", "m", "oː", "n", "t"]]


def _table(column: list[Any], **columns: list[Any]) -> pd.DataFrame:
    ids = [f"c{number}" for number in range(len(column))]
    return pd.DataFrame({"clip_id": ids, "text": column, **columns}, index=range(5, 5 + len(column)))


def test_a_column_of_transcripts_becomes_phones() -> None:
    table = _table(["ab c", ["ab", "d"], None, float("nan"), " "], starts=[[0.0]] * 5)
    table.attrs["index"] = "kept"
    made = text.with_phones(table, LETTERS)
    assert list(made["phones"]) == [list("abc"), list("abd"), None, None, None]
    assert list(made["words"]) == [["ab", "c"], ["ab", "d"], [], [], []]
    # times of something else
    assert list(made["starts"]) == [None] * 5 and made.attrs["index"] == "kept"
    assert list(text.untranscribed(text.checked(made))) == [False, False, True, True, True]
    assert "phones" not in table.columns


def test_a_table_with_phones_keeps_them() -> None:
    table = _table(["x"], phones=[["a", "b"]], words=["mine"])
    assert text.with_phones(table, LETTERS) is table and text.with_phones(table, None) is table
    assert list(text.with_phones(_table(["x"], words=["mine"]), LETTERS)["words"]) == ["mine"]


@pytest.mark.parametrize(
    ("table", "settings", "words"),
    [
        (_table(["a"]).rename(columns={"text": "texts"}), LETTERS, "no such column; did you mean texts?"),
        (_table([None, ""]), LETTERS, "no clip has a transcript"),
        (_table(["a", 3.5]), LETTERS, "clip c1: column text holds 3.5: must be the text that is spoken"),
        (_table([["a", 3]]), LETTERS, "clip c0: column text holds ['a', 3]"),
        (
            _table(["hallo"]),
            Text(language="xx-qq"),
            'text.language = "xx-qq": espeak-ng has no such language',
        ),
        (
            _table(["hallo"]),
            Text(dictionary="absent.dict"),
            'text.dictionary = "absent.dict": cannot be read',
        ),
        (
            _table(["अब आप इस एक और कर का की के को गया घर"]),
            Text(language="de"),
            "espeak-ng says 12 of 12 words in another language (hi)",
        ),
    ],
)
def test_what_cannot_become_phones_is_refused_in_one_line(
    table: pd.DataFrame, settings: Text, words: str
) -> None:
    with pytest.raises(UserError) as caught:
        text.with_phones(table, settings)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("phones", "starts", "words"),
    [
        ("a b", None, 'holds the text "a b": must be a list of phones'),
        (["a", 3], None, "must be a list of phones"),
        (["a", ""], None, "must be a list of phones"),
        (3, None, "holds 3: must be a list of phones"),
        (["a", "b"], [0.0], "has 1 times for 2 phones"),
        (["a", "b"], [0.5, 0.1], "must rise and be finite"),
        (["a", "b"], [0.0, float("nan")], "must rise and be finite"),
        (["a", "b"], ["x", "y"], "must be a list of seconds"),
    ],
)
def test_cells_that_are_no_lists_are_refused_with_their_clip(phones: Any, starts: Any, words: str) -> None:
    with pytest.raises(UserError) as caught:
        text.checked(_table(["", ""], phones=[["a"], phones], starts=[None, starts]))
    assert "clip c1" in str(caught.value) and words in str(caught.value) and "\n" not in str(caught.value)


def test_times_are_optional_for_each_clip() -> None:
    made = text.checked(_table(["", ""], phones=[["a"], np.array(["a", "b"])], starts=[None, [0, 0.5]]))
    assert [list(cell) for cell in made["starts"]] == [[], [0.0, 0.5]]
    assert list(text.checked(_table([""], phones=[["a"]]))["starts"][5]) == []


def test_a_changed_dictionary_is_another_training(dictionary: str) -> None:
    raw = {"text": {"dictionary": dictionary}}
    before = text.dictionary_digest(raw)
    Path(dictionary).write_text("hallo\th\n", encoding="utf-8")
    assert before and text.dictionary_digest(raw) != before
    assert [text.dictionary_digest(one) for one in ({}, {"text": {}}, {"text": 3})] == ["", "", ""]
    table = pd.DataFrame({"clip_id": ["a"], "word": ["b"]})
    known = text.fingerprint(table, raw)
    assert text.fingerprint(table, {}) == catalog.fingerprint(table) != known
    Path(dictionary).write_text("hallo\tx\n", encoding="utf-8")
    assert text.fingerprint(table, raw) != known
