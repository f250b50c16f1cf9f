"""``[decoding]``: how a trained network's answers are read; of one output, ``[decoding.HEAD]``.

A number may be a list of candidates: the one that reads the validation split best is kept with the model. No
setting of this table changes a training: epochs are judged as without it.

Contents: `Decoding`, `candidates`, `with_numbers`.
"""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from audiomtl.settings.table import Count, NotNegative, Table, used_values, used_when

Counts = Count | Annotated[tuple[Count, ...], Strict(False), Field(min_length=1)]
NotNegatives = NotNegative | Annotated[tuple[NotNegative, ...], Strict(False), Field(min_length=1)]
Numbers = float | Annotated[tuple[float, ...], Strict(False), Field(min_length=1)]


class Decoding(Table):
    """How one output is read. One flat table: keys that the method does not use may be left out.

    ======= ==========================================================================================
    greedy  each step by itself
    viterbi phones from frames: the best path under a bigram of the train transcripts
    beam    phones from CTC: prefix beam search with an n-gram of the train transcripts
    ======= ==========================================================================================
    """

    method: Literal["greedy", "viterbi", "beam"] = Field(
        description=(
            "How outputs are read: each step by itself (greedy), the best path of frames (viterbi), or a CTC"
            " prefix beam (beam). A number below may be a list: validation decides."
        )
    )
    minimum_steps: Counts = used_when(
        {"method": "viterbi"}, description="Shortest duration of a phone, in steps."
    )
    switch_penalty: NotNegatives = used_when(
        {"method": "viterbi"},
        description="What every change of phone costs, in natural logarithms, at least 0.",
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
