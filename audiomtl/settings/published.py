"""What stands beside the scores of an experiment file and is edited by people: figures that others published,
``[[reference]]``, and what is known to be wrong with them, ``acknowledged``: scores that are no better than
their floor, and how settings were chosen.

They are no settings: they change no training and no key.

Contents: `Reference`, `checked_references`, `checked_acknowledged`, `without_published`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from audiomtl.errors import UserError
from audiomtl.settings.table import Table
from audiomtl.settings.validation import first_error, nearest, show

KEYS = ("reference", "acknowledged")
SMALL_VALIDATION = "small_validation"  # acknowledged: fewer validation clips than a choice needs
CHOSEN_ON_ALL_FOLDS = "chosen_on_all_folds"  # acknowledged: no test clip is independent of the settings
MARKS = (SMALL_VALIDATION, CHOSEN_ON_ALL_FOLDS)  # acknowledged, and no scores


class Reference(Table):
    """``[[reference]]``: one figure of others beside a score of this experiment."""

    score: str = Field(description="Score of this experiment that it belongs to, such as test/accuracy.")
    number: float = Field(description="The published figure, in the unit of the score.")
    protocol: str = Field(description="How it was measured: system, data, split.")
    source: str = Field(description="Where it is published.")
    comparable: bool = Field(
        description="Whether it may be compared with the score: same data, split and score."
    )
    why: str = Field(description="Why it may be compared with the score of this experiment, or why not.")


ACKNOWLEDGED = (
    "Scores of this experiment that are known to be no better than their floor, such as"
    ' ["test/sex_accuracy"]; or "small_validation", "chosen_on_all_folds": how settings were chosen. Default:'
    " none."
)

QUESTION = (
    "Key of an ablation that is no setting: the question that it answers. The differences of all ablations"
    " with one question get simultaneous intervals; ablations without one are exploratory. Default: none."
)


def checked_references(value: Any, scores: Mapping[str, str], place: str) -> tuple[Reference, ...]:
    """The tables ``[[reference]]`` of a file.

    Parameters
    ----------
    scores : those that the experiment reports, with their directions.

    Raises
    ------
    UserError : a wrong key or type, or a score that the experiment does not report.
    """
    if not isinstance(value, list):
        raise UserError(f"{place}: reference = {show(value)}: must be tables [[reference]]")
    found = []
    for number, table in enumerate(value):
        try:
            one = Reference.model_validate(table)
        except ValidationError as error:
            raise UserError(f"{place}: reference[{number}].{first_error(error, Reference)}") from None
        _known(one.score, scores, f"{place}: reference[{number}].score = {show(one.score)}")
        found.append(one)
    return tuple(found)


def checked_acknowledged(value: Any, scores: Mapping[str, str], place: str) -> tuple[str, ...]:
    """The list ``acknowledged`` of a file.

    Raises
    ------
    UserError : no list of texts, or a score that the experiment does not report; `MARKS` are none.
    """
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UserError(
            f'{place}: acknowledged = {show(value)}: must be a list of scores, such as ["test/accuracy"]'
        )
    for number, name in enumerate(value):
        if name in MARKS:
            continue
        _known(name, scores, f"{place}: acknowledged[{number}] = {show(name)}", MARKS)
    return tuple(value)


def without_published(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without these keys: what is left are settings, ``[expected]`` and ``[ablation]``."""
    return {key: value for key, value in document.items() if key not in KEYS}


def _known(name: str, scores: Mapping[str, str], place: str, more: Sequence[str] = ()) -> None:
    known = [f"{side}/{score}" for side in ("test", "validation") for score in scores]
    if name not in known:
        known = [*known, *more]
        raise UserError(f"{place}: the experiment reports no such score{nearest(name, known)}")
