"""The leak bill as a picture. Contents: `leak_bill`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audiomtl.pictures.canvas import figure


def leak_bill(
    rows: Sequence[tuple[str, float, float, float]], *, chance: float, score: str, title: str, path: Path
) -> None:
    """Bars of one model's score under several splits, each with its interval.

    Parameters
    ----------
    rows : (name, score, low, high) from the top; low and high may be NaN. chance : drawn as a line.
    """
    with figure(path, width=7.0, height=1.3 + 0.45 * len(rows)) as axes:
        for place, (_, value, low, high) in enumerate(rows):
            axes.barh(place, value, color="tab:orange" if place == 0 else "tab:blue", height=0.6)
            if np.isfinite(low):
                axes.plot([low, high], [place, place], color="black", linewidth=1.2)
            edge = max(value, high if np.isfinite(high) else value)
            axes.text(edge + 0.01, place, f"{value:.2f}", va="center")
        axes.axvline(chance, color="0.4", linestyle="--", linewidth=1)
        axes.text(chance, -0.55, " chance", color="0.4", fontsize=8, va="bottom")
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set(xlabel=score, title=title, ylim=(len(rows) - 0.4, -0.6))
        axes.set_xlim(min(0.0, *(value for _, value, *_ in rows)), max(1.0, chance) * 1.08)
