"""Arrays in, PNG files out; the same arrays give the same bytes.

Contents: `figure`, `tried` (of `canvas`); `leak_bill` (of `audit`); `learning_curves`, `trajectories`,
`confusion`, `average_precisions`, `front` (of `scores`); `posteriors`, `evidence`, `scores_over_time`,
`heard` (of `clips`).
"""

from audiomtl.pictures.audit import leak_bill
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
    "leak_bill",
    "learning_curves",
    "posteriors",
    "scores_over_time",
    "trajectories",
    "tried",
]
