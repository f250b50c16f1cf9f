"""The table ``[text]``: one source of phones, refused in one line."""

import pytest

from audiomtl.errors import UserError
from audiomtl.settings import family
from audiomtl.settings.text import Text
from tests.whole_settings import whole_settings


@pytest.mark.parametrize(
    "table",
    [
        {"language": "de"},
        {"units": "letters", "column": "words"},
        {"dictionary": "words.dict"},
        {"dictionary": "words.dict", "unknown": "letters"},
        {"dictionary": "words.dict", "unknown": "espeak", "language": "en-us"},
    ],
)
def test_each_source_of_phones_is_accepted(table: dict[str, str]) -> None:
    raw = whole_settings("ctc_emodb") | {"text": table}
    assert family.settings_of(raw, "test").text == Text(**table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, 'text: nothing says how words become phones: set text.language, such as "de"'),
        ({"units": "letters", "language": "de"}, 'leave out text.language = "de"'),
        ({"units": "letters", "dictionary": "a"}, 'leave out text.dictionary = "a"'),
        ({"language": "de", "unknown": "letters"}, "text.dictionary is not set"),
        ({"dictionary": "a", "unknown": "espeak"}, 'but got text.unknown = "espeak" and text.language = ""'),
        ({"dictionary": "a", "language": "de"}, 'text.unknown = "error" and text.language = "de"'),
        ({"units": "letter"}, 'text.units = "letter": must be one of "phones", "letters"'),
        ({"lang": "de"}, 'text.lang = "de": no such setting; did you mean text.language?'),
        ({"language": "de", "column": ""}, 'text.column = "": '),
        ("de", 'text = "de": must be a table'),
    ],
)
def test_what_does_not_fit_together_is_refused(table: object, words: str) -> None:
    with pytest.raises(UserError) as caught:
        family.settings_of(whole_settings("ctc_emodb") | {"text": table}, "test")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_without_the_table_has_the_settings_that_it_had() -> None:
    raw = whole_settings("ctc_emodb")
    assert family.settings_of(raw, "test").text is None
    assert not [path for path in family.trained_settings(raw) if path.startswith("text")]
