"""Scores of an alignment: times of things whose order is known (syllables of a given text, phones, notes of a
score).

Conventions: a clip is a sequence of seconds that do not fall, as many predicted as true, paired by position;
a set is a sequence of clips. All deviations of the set are pooled: a clip counts by its onsets. Deviations
are told in milliseconds.

Contents: `onsets`, `boundaries`.
"""

from collections.abc import Sequence

import numpy as np

Times = Sequence[float] | np.ndarray

WINDOWS = (0.05, 0.1, 0.3)  # seconds; 0.3 is MIREX's
BOUNDARY_WINDOWS = (0.01, 0.02, 0.05)  # seconds; 0.02 is the usual tolerance of phone boundaries


def onsets(
    truth: Sequence[Times], predicted: Sequence[Times], *, seconds: Sequence[float] | None = None
) -> dict[str, float]:
    """How well onsets of words, syllables or notes were placed.

    Parameters
    ----------
    truth, predicted : sets of clips, seconds, >= 0
    seconds : lengths of the clips, for ``correct_segments``

    Returns
    -------
    dict with ``median_ms`` and ``mean_ms`` (absolute deviation), ``within_50_ms``, ``within_100_ms``,
    ``within_300_ms`` (shares of
        onsets, limits included), ``perceptual`` (how much in time listeners to a karaoke find it, mean over
        onsets: Lizé-Masclef, Vaglio and Moussallam, ISMIR 2021; 1 at best, 67 ms early, and 0.96 for no
        deviation); with ``seconds`` also ``correct_segments`` (share of time in which the right one is on:
        Fujihara et al., 2011).

    Raises
    ------
    ValueError : see `boundaries`.
    """
    from mir_eval import alignment as mir

    deviations = _deviations(truth, predicted)
    scores = {"median_ms": 1000 * float(np.median(deviations)), "mean_ms": 1000 * float(np.mean(deviations))}
    # 1e-9: times are decimal fractions, 1.3 - 1.0 is above 0.3
    scores |= {
        f"within_{round(1000 * window)}_ms": float(np.mean(deviations <= window + 1e-9)) for window in WINDOWS
    }
    pairs = [
        (np.asarray(true, float), np.asarray(guess, float))
        for true, guess in zip(truth, predicted, strict=True)
    ]
    counts = [len(true) for true, _ in pairs]
    felt = [mir.karaoke_perceptual_metric(*pair) for pair in pairs if len(pair[0])]
    scores["perceptual"] = float(np.average(felt, weights=[count for count in counts if count]))
    if seconds is not None:
        correct = [
            mir.percentage_correct_segments(*pair, length)
            for pair, length in zip(pairs, seconds, strict=True)
            if len(pair[0])
        ]
        weights = [length for length, count in zip(seconds, counts, strict=True) if count]
        scores["correct_segments"] = float(np.average(correct, weights=weights))
    return scores


def boundaries(truth: Sequence[Times], predicted: Sequence[Times]) -> dict[str, float]:
    """How far boundaries between segments (phones) are from the true ones.

    Returns
    -------
    dict with ``boundary_mean_ms``, ``boundary_median_ms`` (absolute deviation), ``boundary_within_10_ms``,
    ``boundary_within_20_ms`` and ``boundary_within_50_ms`` (shares, limits included).

    Raises
    ------
    ValueError : no boundary in the whole set, sides or clips that differ in number, times that fall, are
        negative or not finite.
    """
    deviations = _deviations(truth, predicted)
    return {
        "boundary_mean_ms": 1000 * float(np.mean(deviations)),
        "boundary_median_ms": 1000 * float(np.median(deviations)),
    } | {
        f"boundary_within_{round(1000 * window)}_ms": float(np.mean(deviations <= window + 1e-9))
        for window in BOUNDARY_WINDOWS
    }


def _deviations(truth: Sequence[Times], predicted: Sequence[Times]) -> np.ndarray:
    """Absolute deviations in seconds, pooled over the clips."""
    from mir_eval.alignment import validate

    if len(truth) != len(predicted):
        raise ValueError(
            f"truth and predicted are paired by position and must be equally many, but got {len(truth)} and"
            f" {len(predicted)}"
        )
    found = []
    for clip, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        first, second = np.asarray(true, float), np.asarray(guess, float)
        if not first.size and not second.size:
            continue
        try:
            if not (np.isfinite(first).all() and np.isfinite(second).all()):
                raise ValueError("times must be finite")
            validate(first, second)
        except ValueError as error:
            raise ValueError(f"clip {clip} of truth and predicted: {error}") from None
        found.append(np.abs(first - second))
    if not found:
        raise ValueError(
            f"truth must have at least one time, but its {len(truth)} clips are all empty: there is nothing"
            " to measure"
        )
    return np.concatenate(found)
