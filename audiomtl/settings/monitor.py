"""Scores that a training watches: they exist, and they run in their own direction.

A family's module ``settings`` may have a function ``watched(settings) -> {score: direction}``: validation
scores of every epoch beside those that it records and the loss.

Contents: `check_monitor`, `watched`.
"""

from collections.abc import Mapping
from typing import Any

from audiomtl.errors import UserError
from audiomtl.settings.family import family, scores
from audiomtl.settings.validation import nearest


def watched(settings: Any, raw: Mapping[str, Any]) -> dict[str, str]:
    """{score: "minimize" or "maximize"} of the validation scores that a training may monitor."""
    own = family("settings", raw["model"])
    further = own.watched(settings) if hasattr(own, "watched") else {}
    return {**scores(raw), "loss": "minimize", **further}


def check_monitor(settings: Any, raw: Mapping[str, Any], place: str) -> None:
    """Refuse a monitored score that does not exist, and directions that are not those of the scores.

    Parameters
    ----------
    settings, raw : of an experiment, validated and as in the file. place : begins the message.

    Raises
    ------
    UserError : naming the score, the nearest one that exists, or its direction.
    """
    if not hasattr(settings, "training"):
        return
    known, training = watched(settings, raw), settings.training
    for score, direction in raw.get("scores", {}).items():
        if known.get(score, direction) != direction:
            raise UserError(
                f'{place}: scores.{score} = "{direction}": this score is better when it is'
                f' {_better(known[score])}; write "{known[score]}"'
            )
    score = training.monitor.removeprefix("validation/")
    if score not in known:
        names = [f"validation/{name}" for name in known]
        raise UserError(
            f'{place}: training.monitor = "{training.monitor}": no such'
            f" score{nearest(training.monitor, names)}; {raw['model']} has {', '.join(names)}"
        )
    if training.monitor_direction != known[score]:
        raise UserError(
            f'{place}: training.monitor_direction = "{training.monitor_direction}": {training.monitor} is'
            f" better when it is {_better(known[score])}, so the worst epoch would be kept; write"
            f' "{known[score]}"'
        )


def _better(direction: str) -> str:
    return "lower" if direction == "minimize" else "higher"
