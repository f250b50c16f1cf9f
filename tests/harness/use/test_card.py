"""What the page beside an average says of its scores. Pages themselves: ``test_predict``."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from audiomtl.harness.use import card

NO_SCORE = "The average has no test score: every recorded score is that of a single seed."
REMEDY = "Score it with `audiomtl evaluate` on clips that no seed was trained on."


@pytest.mark.parametrize(
    ("tested", "told"),
    [
        (["ab", "ab"], " All seeds have the same 2 test clips, which none was trained on."),
        (
            ["abc", "bcd", "bc"],
            " 2 of the 4 test clips are in the test split of some seeds only: other seeds were trained or"
            " validated on them, so a score of the average on the experiment's own clips would be too good.",
        ),
        (["a", "b"], " 2 of the 2 test clips are in the test split of some seeds only: other seeds were"),
        ([], f" {REMEDY}"),  # of refits on all clips
    ],
)
def test_an_average_has_no_test_score_and_it_is_said_which_clips_are_new_to_it(
    tested: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [pd.DataFrame({"clip_id": list(clips)}) for clips in tested]
    monkeypatch.setattr(card, "Tracking", lambda: None)
    monkeypatch.setattr(card.group_intervals, "predictions", lambda tracking, runs: tables)
    loaded: Any = SimpleNamespace(runs=())
    said = card.of_average(loaded)
    assert said.startswith(NO_SCORE + told) and said.endswith(REMEDY) and said.count(REMEDY) == 1
