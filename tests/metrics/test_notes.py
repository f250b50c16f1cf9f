"""Notes and melodies: numbers worked by hand."""

import numpy as np
import pytest

from audiomtl.metrics import notes

A, B = (0.0, 1.0, 60), (1.0, 2.0, 62)


@pytest.mark.parametrize(
    ("truth", "predicted", "onset", "offset"),
    [  # (precision, recall) each
        ([A, B], [A, B], (1, 1), (1, 1)),
        ([A, B], [B, A], (1, 1), (1, 1)),
        # 40 ms late is right, 60 ms is not
        (
            [A, B],
            [(0.04, 1.0, 60), (1.06, 2.0, 62)],
            (1 / 2, 1 / 2),
            (1 / 2, 1 / 2),
        ),
        ([A, B], [(0.0, 1.0, 60.4), (1.0, 2.0, 62.6)], (1 / 2, 1 / 2), (1 / 2, 1 / 2)),  # 40 and 60 cents
        ([A, B], [(0.0, 1.19, 60), (1.0, 2.21, 62)], (1, 1), (1 / 2, 1 / 2)),  # 20 % of a second is 200 ms
        ([(0.0, 0.1, 60)], [(0.0, 0.145, 60)], (1, 1), (1, 1)),  # 20 % would be 20 ms, 50 ms is more
        ([A], [A, (0.01, 1.0, 60), (3.0, 4.0, 60)], (1 / 3, 1), (1 / 3, 1)),  # a true note is found once
        ([A], [], (0, 0), (0, 0)),
        ([], [A], (0, 0), (0, 0)),
    ],
)
def test_notes_of_one_clip(truth, predicted, onset, offset):
    scores = notes.transcription([truth], [predicted])
    for name, (precision, recall) in (("onset", onset), ("offset", offset)):
        f1 = 2 * precision * recall / (precision + recall) if precision else 0
        expected = (precision, recall, f1)
        assert tuple(scores[f"{name}_{kind}"] for kind in ("precision", "recall", "f1")) == pytest.approx(
            expected, abs=1e-12
        )


def test_clips_count_alike_and_silent_ones_not_at_all():
    long = [(float(n), n + 0.5, 60 + n) for n in range(9)]
    scores = notes.transcription([long, [A], [], []], [long, [], [], [A]])
    assert scores["onset_f1"] == scores["offset_recall"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[]], [[]], "at least one note, but all of the 1 clips are silent"),
        ([[A]], [[A], [A]], "equally many, but got 1 and 2"),
        ([[A]], [[(1.0, 1.0, 60)]], r"predicted\[0\] has the note .* = \(1.0, 1.0, 60.0\)"),
        ([[(0.0, 1.0, float("nan"))]], [[A]], r"truth\[0\] has the note"),
        ([A], [A], r"truth\[0\] must be a clip of notes .*put a clip in a list"),
    ],
)
def test_notes_without_a_score_are_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        notes.transcription(truth, predicted)


def test_melody_by_hand():
    #        right  60 cents  octave  missed  rest  rest heard as sung
    truth = [60.0, 60.0, 60.0, 60.0, 0.0, 0.0]
    heard = [60.4, 60.6, 72.0, -1.0, 0.0, 55.0]
    scores = notes.melody(truth, heard)
    assert scores == pytest.approx(
        {
            "overall_accuracy": 2 / 6,
            "raw_pitch_accuracy": 1 / 4,
            "voicing_recall": 3 / 4,
            "voicing_false_alarm": 1 / 2,
        }
    )


def test_a_melody_without_rest_and_one_that_was_not_heard():
    assert notes.melody([60, 61], [60, 61]) == {
        "overall_accuracy": 1,
        "raw_pitch_accuracy": 1,
        "voicing_recall": 1,
        "voicing_false_alarm": 0,
    }
    assert notes.melody([60, 61, 0, -1], np.zeros(4))["overall_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([0, -1], [60, 0], "all of its 2 frames are rest"),
        ([60], [60, 61], r"one shape \(n_frames,\), but got \(1,\) and \(2,\)"),
        ([60], [np.inf], "finite"),
    ],
)
def test_a_melody_without_a_score_is_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        notes.melody(truth, predicted)
