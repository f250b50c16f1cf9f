"""Values that `audiomtl new` inserts into ``templates/ctc.toml``. Contents: `proposal`, `values`."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from audiomtl.data import text
from audiomtl.data.fitting import Choice, Proposal, numbers, toml_lines
from audiomtl.settings.text import Text

HZ = 16000
BANDS = 40
RARE = 10  # clips: a symbol that fewer have may be absent from train
FRAMES = """[ablation.frames]                  # phone times instead of CTC
network.objective = "frames"

"""


def proposal(choice: Choice) -> Proposal:
    """Whether, and before which others, the family fits the data."""
    if not choice.sound:
        return Proposal(0, "it reads recordings, but the clips are arrays")
    rank = 45 if choice.asked else 10
    if choice.column("phones"):
        return Proposal(rank, "transcriptions: a list of phones for each clip", label=False)
    if found := choice.column("text"):
        return Proposal(rank + 2, f"transcripts in the column {found.name}", label=False)
    return Proposal(0, "it learns phones or transcripts, but no column has them for every clip")


def values(choice: Choice) -> dict[str, str]:
    """{name between @ in the template: text} for a choice."""
    own = numbers(choice, most_hz=HZ, bands=BANDS, fine=True)
    phones = choice.column("phones")
    settings = {} if phones else _text(choice)
    table = text.with_phones(choice.found.table, Text.model_validate(settings) if settings else None)
    least = _least_frames(choice, table["phones"], own.hop_seconds)
    clips = Counter(symbol for symbols in table["phones"] if symbols is not None for symbol in set(symbols))
    rare = sorted(symbol for symbol, count in clips.items() if count < RARE)
    if rare:
        choice.notes.append(
            f"{len(rare)} symbols are in fewer than {RARE} clips ({' '.join(rare[:5])} ...): one that train"
            " lacks counts as an error of the model"
        )
    if least < 1:
        choice.notes.append(
            "clips with more symbols than frames are dropped; a shorter hop_seconds keeps them"
        )
    return {
        **own.values,
        "TITLE": "symbols of a recording by CTC.",
        "DESCRIPTION": "Phones of recordings by CTC." if phones else "Transcripts of recordings by CTC.",
        "TEXT": f"[text]\n{toml_lines(settings)}\n\n" if settings else "",
        "REDUCTION": "2" if least > 2 else "1",
        "INFEASIBLE": "error" if least >= 1 else "drop",
        "UNSEEN": "count" if rare else "error",
        "FRAMES": FRAMES if phones and phones.timed else "",
        "MONITOR": "validation/phone_error_rate",
        "METRIC": "validation/phone_error_rate",
        "METRICDIRECTION": "minimize",
        # an error rate can stand at 1.0 for epochs while the loss falls
        "PRUNEON": "validation/loss",
        "PRUNEDIRECTION": "minimize",
    }


def _text(choice: Choice) -> dict[str, str]:
    """The table [text]: phones of a language that was named, else letters."""
    column = choice.column("text")
    settings = {"column": column.name if column else "text"}
    if choice.language:
        return {**settings, "language": choice.language}
    choice.notes.append(
        "transcripts are learned letter by letter; for phones by espeak-ng set text.language, such as"
        ' language = "de", in place of text.units (audiomtl new --language de)'
    )
    return {**settings, "units": "letters"}


def _least_frames(choice: Choice, column: Iterable[Any], hop_seconds: float) -> float:
    """Frames per symbol of the clip that has the fewest."""
    ratios = []
    for seconds, symbols in zip(choice.found.seconds, column, strict=True):
        if symbols is not None and len(symbols):
            needed = len(symbols) + sum(one == other for one, other in pairwise(symbols))
            ratios.append((seconds / hop_seconds - 1) / needed)
    return min(ratios, default=1.0)
