"""``[decoding]``: how a trained network's answers are read; of one output, ``[decoding.HEAD]``.

A number may be a list of candidates: the one that reads the validation split best is kept with the model. No
setting of this table changes a training: epochs are judged as without it.

Contents: `Decoding`, `candidates`, `with_numbers`.
"""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.table import Count, NotNegative, Table, used_values, used_when

Counts = Count | Annotated[tuple[Count, ...], Strict(False), Field(min_length=1)]
NotNegatives = NotNegative | Annotated[tuple[NotNegative, ...], Strict(False), Field(min_length=1)]
Threshold = Annotated[float, Field(gt=0, le=1)]
Thresholds = Threshold | Annotated[tuple[Threshold, ...], Strict(False), Field(min_length=1)]
Natural = Annotated[int, Field(ge=0)]
Naturals = Natural | Annotated[tuple[Natural, ...], Strict(False), Field(min_length=1)]
Numbers = float | Annotated[tuple[float, ...], Strict(False), Field(min_length=1)]


class Decoding(Table):
    """How one output is read. One flat table: keys that the method does not use may be left out.

    ======== =========================================================================================
    greedy   each step by itself
    viterbi  phones from frames: the best path under a bigram of the train transcripts
    beam     phones from CTC: prefix beam search with an n-gram of the train transcripts
    hmm      notes of one voice: the best path of keys and rest, with the onsets of another head
    onsets   notes of many keys: peaks of onsets, each held until its key is not
    segments times of classes: median filter, a threshold for each class, hysteresis
    ======== =========================================================================================
    """

    method: Literal["greedy", "viterbi", "beam", "hmm", "onsets", "segments"] = Field(
        description=(
            "How outputs are read: each step by itself (greedy), or as the table above says. A number below"
            " may be a list: validation decides."
        )
    )
    beside: str = used_when(
        {"method": ("hmm", "segments")},
        description=(
            "Head that is read together with this one: kind notes for melody, melody for notes, clip_class"
            ' for segments; "" for none.'
        ),
    )
    minimum_steps: Counts = used_when(
        {"method": ("viterbi", "hmm", "onsets", "segments")},
        description="Shortest duration of a phone, a note or a segment, in steps.",
    )
    switch_penalty: NotNegatives = used_when(
        {"method": ("viterbi", "hmm")},
        description=(
            "What every change of phone or of key costs, in natural logarithms, at least 0, for hmm above 0."
        ),
    )
    leap_penalty: NotNegatives = used_when(
        {"method": "hmm"},
        description="What every semitone from one note to the next costs, in natural logarithms.",
    )
    onset_weight: NotNegatives = used_when(
        {"method": "hmm"},
        description="Weight of log(onset / onset_threshold) where a note begins; 0 leaves onsets out.",
    )
    onset_threshold: Thresholds = used_when(
        {"method": ("hmm", "onsets")},
        description="Score of an onset from which on it speaks for a note, in (0, 1).",
    )
    held_threshold: Thresholds = used_when(
        {"method": "onsets"}, description="Score from which on a key is held, in (0, 1)."
    )
    gap_steps: Naturals = used_when(
        {"method": ("onsets", "segments")},
        description="Longest pause that ends no note or segment, in steps.",
    )
    median_steps: Counts = used_when(
        {"method": "segments"}, description="Length of the median filter, in steps; odd, 1 for none."
    )
    class_thresholds: Annotated[tuple[Threshold, ...], Strict(False), Field(min_length=1)] = used_when(
        {"method": "segments"},
        description="Candidates for the score from which on a class is heard, one of which each class keeps.",
    )
    release: Thresholds = used_when(
        {"method": "segments"},
        description="Share of its threshold below which a segment ends, in (0, 1]; 1 for no hysteresis.",
    )
    clip_weight: NotNegatives = used_when(
        {"method": "segments"},
        description="Power of the clip's class probability by which scores are multiplied; 0 for none.",
    )
    prior_weight: NotNegatives = used_when(
        {"method": "viterbi"},
        description=(
            "Power of a phone's share of the train steps by which its probabilities are divided; 0 for none."
        ),
    )
    beam_width: Count = used_when({"method": "beam"}, description="Number of prefixes that are kept.")
    language_order: Counts = used_when(
        {"method": "beam"},
        description="Order of the n-gram of the train transcripts; 2 is a bigram.",
    )
    language_weight: NotNegatives = used_when(
        {"method": ("viterbi", "beam")},
        description="Weight of the n-gram's logarithms; 0 leaves it out.",
    )
    insertion_bonus: Numbers = used_when(
        {"method": "beam"},
        description="What every phone of a transcript adds to its score, in natural logarithms.",
    )

    @model_validator(mode="after")
    def _numbers_can_be_used(self) -> Self:
        if self.method == "hmm" and not min(_several(self.switch_penalty)) > 0:
            raise ValueError(f"switch_penalty = {self.switch_penalty}: must be above 0 for method hmm")
        if self.method == "segments" and any(steps % 2 == 0 for steps in _several(self.median_steps)):
            raise ValueError(f"median_steps = {self.median_steps}: a median needs an odd number of steps")
        return self


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def candidates(decoding: Decoding) -> list[dict[str, Any]]:
    """Every combination of the numbers that are lists: the whole table as values, the first numbers first."""
    return list(_combinations(decoding))


def _combinations(decoding: Decoding) -> Iterator[dict[str, Any]]:
    values = used_values(decoding)
    lists = {name: value for name, value in values.items() if isinstance(value, tuple)}
    for chosen in product(*lists.values()):
        yield values | dict(zip(lists, chosen, strict=True))


def with_numbers(decoding: Decoding, numbers: dict[str, Any]) -> Decoding:
    """The table with numbers in the place of lists."""
    return decoding.model_copy(update=numbers)
