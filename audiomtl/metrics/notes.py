"""Scores of notes and of a melody, as the MIREX tasks define them; the arithmetic is mir_eval's.

Conventions: a note is ``(onset, offset, pitch)``, seconds, seconds and MIDI number (69 is 440 Hz; fractions
are cents / 100); a clip is a sequence of notes in any order, a set is a sequence of clips, paired by
position. A frame of a melody is a MIDI number, 0 or less where nothing is sung.

Contents: `transcription`, `melody`.
"""

from collections.abc import Sequence

import numpy as np

Notes = Sequence[tuple[float, float, float]]

ONSET_SECONDS = 0.05
PITCH_CENTS = 50.0
OFFSET_SHARE, OFFSET_SECONDS = 0.2, 0.05  # of the true note's length, or this, whichever is longer


def transcription(truth: Sequence[Notes], predicted: Sequence[Notes]) -> dict[str, float]:
    """How many notes were found, paired one to one so that the most pairs come out (mir_eval.transcription).

    A pair is right when its onsets are within 50 ms and its pitches within 50 cents, and for the scores
    ``..._with_offset`` its offsets within 20 % of the true length or 50 ms, whichever is more (Bay, Ehmann
    and Downie, ISMIR 2009).

    Returns
    -------
    dict with ``onset_precision``, ``onset_recall``, ``onset_f1``, ``offset_precision``, ``offset_recall``,
    ``offset_f1`` (offset:
        onset, pitch and offset). Each is the **mean over the clips that have a note in truth or prediction**,
        as is the custom in music transcription: a long piece counts no more than a short one. A clip with
        notes on one side only scores 0; one that is silent and was heard so says nothing, and is left out.

    Raises
    ------
    ValueError : no clip has a note; a note whose offset is not after its onset, or with a value that is not
        finite.
    """
    from mir_eval.transcription import precision_recall_f1_overlap

    _paired(truth, predicted)
    scores = []
    for clip, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        left, right = _arrays("truth", clip, true), _arrays("predicted", clip, guess)
        if not len(left[1]) and not len(right[1]):
            continue
        if not len(left[1]) or not len(right[1]):
            scores.append([0.0] * 6)
            continue
        rules = {
            "onset_tolerance": ONSET_SECONDS,
            "pitch_tolerance": PITCH_CENTS,
            "offset_min_tolerance": OFFSET_SECONDS,
        }
        onset = precision_recall_f1_overlap(*left, *right, offset_ratio=None, **rules)[:3]
        offset = precision_recall_f1_overlap(*left, *right, offset_ratio=OFFSET_SHARE, **rules)[:3]
        scores.append([*onset, *offset])
    if not scores:
        raise ValueError(
            f"truth or predicted must have at least one note, but all of the {len(truth)} clips are silent"
        )
    names = [f"{rule}_{kind}" for rule in ("onset", "offset") for kind in ("precision", "recall", "f1")]
    return dict(zip(names, map(float, np.mean(scores, axis=0)), strict=True))


def melody(truth: Sequence[float] | np.ndarray, predicted: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Scores of one voice, frame by frame (mir_eval.melody; Salamon, Gomez, Ellis and Richard, IEEE SPM
    2014).

    Parameters
    ----------
    truth, predicted : (n_frames,), MIDI numbers, <= 0 for rest
        On one grid of frames; those of all clips one after another. Fractions are cents:
        `mir_eval.util.hz_to_midi` makes them of hertz.

    Returns
    -------
    dict with ``overall_accuracy`` (frames with the right pitch, or rightly at rest, by all frames),
    ``raw_pitch_accuracy`` (sung frames
        with a pitch within 50 cents, by sung frames), ``voicing_recall`` (sung frames heard as sung),
        ``voicing_false_alarm`` (frames at rest heard as sung, 0 where there is no rest).

    Raises
    ------
    ValueError : shapes that differ, values that are not finite, no frame that is sung.
    """
    from mir_eval import melody as mir

    true, guess = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if true.shape != guess.shape or true.ndim != 1:
        raise ValueError(
            f"truth and predicted must have one shape (n_frames,), but got {true.shape} and {guess.shape}"
        )
    if not (np.isfinite(true).all() and np.isfinite(guess).all()):
        raise ValueError(
            "truth and predicted must be finite MIDI numbers, 0 for rest, but some are not finite"
        )
    sung, heard = true > 0, guess > 0
    if not sung.any():
        raise ValueError(f"truth must have a frame that is sung, but all of its {len(true)} frames are rest")
    voicing = sung.astype(float), heard.astype(float)
    if not heard.any():  # mir_eval warns of it; the scores are known
        return {
            "overall_accuracy": float(1 - sung.mean()),
            "raw_pitch_accuracy": 0.0,
            "voicing_recall": 0.0,
            "voicing_false_alarm": 0.0,
        }
    # a rest has no frequency, 0 cents to mir_eval; what counts of the others is their difference
    cents = np.where(sung, 100 * true, 0.0), np.where(heard, 100 * guess, 0.0)
    return {
        "overall_accuracy": float(mir.overall_accuracy(voicing[0], cents[0], voicing[1], cents[1])),
        "raw_pitch_accuracy": float(mir.raw_pitch_accuracy(voicing[0], cents[0], voicing[1], cents[1])),
        "voicing_recall": float(mir.voicing_recall(*voicing)),
        "voicing_false_alarm": float(mir.voicing_false_alarm(*voicing)),
    }


def _paired(truth: Sequence[Notes], predicted: Sequence[Notes]) -> None:
    if len(truth) != len(predicted):
        raise ValueError(
            f"truth and predicted are paired by position and must be equally many, but got {len(truth)} and"
            f" {len(predicted)}"
        )


def _arrays(name: str, clip: int, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Intervals (n, 2) in seconds and pitches (n,) in Hz."""
    if not len(notes):
        return np.zeros((0, 2)), np.zeros(0)
    array = np.asarray(notes, np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(
            f"{name}[{clip}] must be a clip of notes (onset, offset, pitch), but got shape {array.shape}: put"
            " a clip in a list"
        )
    wrong = ~np.isfinite(array).all(axis=1) | ~(array[:, 1] > array[:, 0])
    if wrong.any():
        note = tuple(array[np.argmax(wrong)].tolist())
        raise ValueError(
            f"{name}[{clip}] has the note (onset, offset, pitch) = {note}: finite, and onset < offset, must"
            " hold"
        )
    return array[:, :2], 440.0 * 2 ** ((array[:, 2] - 69) / 12)
