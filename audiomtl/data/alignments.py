"""A text aligned with a recording, whatever the family that aligned it.

Conventions: times are seconds from the recording's start. A text is words, which become phones, or phones in
the model's own symbols. The score of a phone is the probability that it was said; of a model that cannot tell
that, its mean probability while it lasts. The score of a word likewise, or the mean over its phones.

Contents: `Alignment`, `aligned`; `pronounced`, `spoken_phones`, `check_symbols`, `check_length`.
"""

import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from audiomtl.data.answers import Span
from audiomtl.data.pronunciation import check_language
from audiomtl.data.text import phones_of
from audiomtl.errors import UserError
from audiomtl.settings.text import Text

Speak = Callable[[Sequence[str]], Sequence[list[str]]]  # words -> the phones of each
NEAR = 4  # known symbols that are named beside an unknown one
SHOWN = 5  # unknown symbols that are named


@dataclass(frozen=True)
class Alignment:
    """A text aligned with a recording."""

    phones: tuple[Span, ...]
    words: tuple[Span, ...]  # () where the text was phones
    firsts: tuple[int, ...]  # number of each word's first phone
    seconds: float  # of the recording
    said: float = float("nan")  # probability that this text was said; NaN: the model cannot tell


def aligned(
    spans: Sequence[Span],
    said: Sequence[str],
    spoken: Sequence[Sequence[str]],
    seconds: float,
    phones: bool,
    *,
    words: Sequence[float] = (),
    said_at_all: float = float("nan"),
) -> Alignment:
    """An alignment from the spans of its phones, which are cut at the ends of the recording.

    Parameters
    ----------
    said : the words, or with ``phones`` the phones. spoken : the phones of each of them.
    words : score of each word; () for the mean over its phones. said_at_all : of the whole text.
    """
    timed = tuple(
        Span(max(one.start_seconds, 0.0), min(one.end_seconds, seconds), one.label, one.score)
        for one in spans
    )
    if phones:
        return Alignment(timed, (), (), seconds, said_at_all)
    firsts = np.cumsum([0, *map(len, spoken)]).tolist()
    found = []
    for number, (first, end, word) in enumerate(zip(firsts[:-1], firsts[1:], said, strict=True)):
        score = words[number] if words else float(np.mean([one.score for one in timed[first:end]]))
        found.append(Span(timed[first].start_seconds, timed[end - 1].end_seconds, word, score))
    return Alignment(timed, tuple(found), tuple(firsts[:-1]), seconds, said_at_all)


def pronounced(
    words: Sequence[str], settings: Text | None, language: str, speak: Speak | None = None
) -> list[list[str]]:
    """Phones of each word of a text to align: by espeak-ng in a language, or else as ``[text]`` says, or else
    as the corpus of the training speaks.

    Raises
    ------
    UserError : none of them is given; what `text.phones_of` refuses.
    """
    if language:
        check_language(language, "--language")
        settings = Text.model_validate({"language": language})
    if settings is None and speak is not None:
        once = sorted(set(words))
        known = dict(zip(once, speak(once), strict=True))
        return [known[word] for word in words]
    if settings is None:
        raise UserError(
            "the model was trained on phones, and nothing says how words become phones: give the language of"
            " the text, such as --language de, or phones with --phones"
        )
    return phones_of(words, settings, place="TEXT")


def check_length(count: int, steps: int, seconds: float, step_seconds: float, what: str) -> None:
    """Refuse a text of more phones or words than the recording has steps.

    Raises
    ------
    UserError : see above; the text says both numbers.
    """
    if count > steps:
        raise UserError(
            f"a text of {count} {what} is longer than the recording: {seconds:.2f} s have {steps} steps of"
            f" {step_seconds:g} s, and every phone takes at least one; give only the text of this recording"
        )


def spoken_phones(said: Sequence[str], pauses: Collection[str]) -> list[str]:
    """A text of phones without the pauses that are written in it.

    Raises
    ------
    UserError : nothing is left.
    """
    found = [phone for phone in said if phone not in pauses]
    if not found:
        raise UserError(f"the text is pauses alone ({' '.join(sorted(set(said)))}); give its phones")
    return found


def check_symbols(
    said: Sequence[str], spoken: Sequence[Sequence[str]], symbols: Sequence[str], *, phones: bool
) -> None:
    """Refuse phones that are not among the model's symbols.

    Parameters
    ----------
    symbols : of the model, without pauses.

    Raises
    ------
    UserError : the first few of them, with the words that have them and the closest symbols.
    """
    where = {
        phone: word for word, own in zip(said, spoken, strict=True) for phone in own if phone not in symbols
    }
    if not where:
        return
    named = []
    for phone, word in list(where.items())[:SHOWN]:
        near = _near(phone, symbols)
        named.append(
            f'"{phone}"{"" if phones else f" of {word}"}{f" (nearest {chr(32).join(near)})" if near else ""}'
        )
    more = f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
    rule = (
        ""
        if phones
        else (
            "; spell a word as it is sung, with hyphens between syllables (Son-ne), or give phones with"
            " --phones"
        )
    )
    raise UserError(f"unknown symbols: {', '.join(named)}{more}: the model knows {' '.join(symbols)}{rule}")


def _near(symbol: str, symbols: Sequence[str]) -> list[str]:
    """Known symbols that begin with the same letter in another shape: of "g" the IPA's "ɡ", of "o" also
    "øː" and "ɔʏ".
    """

    # LATIN SMALL LETTER O WITH STROKE is an O, LATIN SMALL LETTER OPEN O as well
    def letter(text: str) -> str:
        return unicodedata.name(text[0], text[0]).partition(" WITH ")[0].rpartition(" ")[2]

    same = [known for known in symbols if letter(known) == letter(symbol)]
    return sorted(same, key=lambda known: (known[0] != symbol[0], abs(len(known) - len(symbol)), known))[
        :NEAR
    ]
