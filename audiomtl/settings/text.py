"""``[text]``: how the words of a transcript become the phones that a network learns or aligns.

An optional table of the families that read phones; without it the clip table has a column ``phones``.

Contents: `Text`.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.table import Table


class Text(Table):
    """Phones from a column of transcripts: by espeak-ng, by a pronouncing dictionary, or letter by letter."""

    column: str = Field(
        "text",
        min_length=1,
        description=(
            "Column of the clip table with the transcript of each clip; its words become the column phones."
            ' Default "text".'
        ),
    )
    language: str = Field(
        "",
        description=(
            'Language or voice of espeak-ng that pronounces the words, such as "de" or "en-us"; "" for none.'
            ' Default "".'
        ),
    )
    dictionary: str = Field(
        "",
        description=(
            "Path of a pronouncing dictionary, one word per line: word, tab, phones separated by spaces;"
            ' "" for none. Default "".'
        ),
    )
    units: Literal["phones", "letters"] = Field(
        "phones",
        description=(
            "What a word consists of: phones of the language or the dictionary, or its letters, in lower"
            ' case. Default "phones".'
        ),
    )
    unknown: Literal["error", "espeak", "letters"] = Field(
        "error",
        description=(
            "What to do about words that the dictionary lacks: stop and name them, let espeak-ng pronounce"
            ' them in the given language, or take their letters. Default "error".'
        ),
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.units == "letters":
            for name, value in (("language", self.language), ("dictionary", self.dictionary)):
                if value:
                    raise ValueError(
                        f'text.units = "letters" takes the letters as they are: leave out text.{name} ='
                        f' "{value}", or set text.units = "phones"'
                    )
        elif not self.language and not self.dictionary:
            raise ValueError(
                'text: nothing says how words become phones: set text.language, such as "de", or'
                ' text.dictionary, or text.units = "letters"'
            )
        if self.unknown != "error" and not self.dictionary:
            raise ValueError(
                f'text.unknown = "{self.unknown}" is for words that a dictionary lacks, but text.dictionary'
                " is not set: leave text.unknown out"
            )
        if self.dictionary and (self.unknown == "espeak") != bool(self.language):
            raise ValueError(
                'text.unknown = "espeak" and text.language belong together beside a dictionary, but got'
                f' text.unknown = "{self.unknown}" and text.language = "{self.language}"'
            )
        return self
