"""What a listening page draws below a spectrogram."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.harness.report.html import listening, timeline
from audiomtl.harness.report.html.clips import Chosen


def chosen(**row: Any) -> Chosen:
    return Chosen("a", "best", 1, row, "")


def test_the_weights_of_windows_are_bars_whose_highest_is_1() -> None:
    windows = {"clip_id": ["b", "a", "a"], "start_seconds": [0.0, 0.5, 0.0], "end_seconds": [1.0, 1.0, 0.5]}
    scores = {"weight": [0.9, 0.3, 0.1], "probability_dog": [0.0, 0.8, 0.2]}
    table = pd.DataFrame(windows | scores)  # of two clips, not in the order of time
    lines, bars = listening._predicted(chosen(truth="dog", predicted="dog"), "", [table])
    assert isinstance(lines, timeline.Lines) and isinstance(bars, timeline.Lines)
    assert lines.windows == bars.windows == [(0.0, 0.5), (0.5, 1.0)]
    assert lines.values == {"dog (true)": [0.2, 0.8]} and not lines.bars
    assert bars.bars and bars.values["weight"] == pytest.approx([1 / 3, 1.0]) and "0.300" in bars.name


def test_phones_stand_where_they_begin_and_end() -> None:
    row = {"predicted": np.array(["m", "a"]), "predicted_starts": np.array([0.1, 0.4]), "seconds": 0.9}
    (spans,) = listening._predicted(chosen(**row), "", [])
    assert isinstance(spans, timeline.Spans) and not spans.true
    assert spans.spans == [(0.1, 0.4, "m"), (0.4, 0.9, "a")]
    clip = {"phones": ["m", "a"], "starts": [0.0, 0.3], "ends": [0.3, 0.8], "words": ["ma"]}
    (true,) = listening._true(clip, row, "")
    assert true.true and true.spans == [(0.0, 0.3, "m"), (0.3, 0.8, "a")]


def test_notes_are_drawn_by_their_pitch() -> None:
    (notes,) = listening._true({"notes": [[0.0, 0.5, 60.0], [0.5, 1.0, 62.0]]}, {}, "")
    assert [label for _, _, label in notes.spans] == ["60", "62"]
