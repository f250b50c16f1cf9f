"""Arrays in, PNG files out; the same arrays give the same bytes.

Contents: `figure`, `tried` (of `canvas`); `learning_curves`, `trajectories`, `confusion`,
`average_precisions`, `front` (of `scores`); `posteriors`, `evidence`, `scores_over_time`, `heard` (of
`clips`).
"""

from audiomtl.pictures.canvas import figure, tried
from audiomtl.pictures.clips import evidence, heard, posteriors, scores_over_time
from audiomtl.pictures.scores import average_precisions, confusion, front, learning_curves, trajectories

__all__ = [
    "average_precisions",
    "confusion",
    "evidence",
    "figure",
    "front",
    "heard",
    "learning_curves",
    "posteriors",
    "scores_over_time",
    "trajectories",
    "tried",
]
