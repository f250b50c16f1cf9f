"""A figure that is saved as it was drawn, and pictures that may fail.

Contents: `figure`, `tried`.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def figure(
    path: Path, rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 4.0
) -> Iterator[Any]:
    """Axes (one, or an array of them) of a figure that is saved to ``path``; sizes in inches.

    Texts are drawn as they are: a dollar sign in a class's name begins no formula.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):
        canvas = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas.subplots(rows, columns)
        _plain_powers(canvas)
        path.parent.mkdir(parents=True, exist_ok=True)
        # no version in the file: byte-identical when drawn again
        canvas.savefig(path, metadata={"Software": None})


def _plain_powers(canvas: Any) -> None:
    """Numbers at logarithmic axes as 1e-02, not as a formula."""
    from matplotlib.ticker import LogFormatter

    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(LogFormatter())
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))


def tried(draw: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Draw, where a picture that fails costs nothing else: its error goes to the log."""
    try:
        draw(*arguments, **options)
    except Exception as error:
        traceback.print_exc()
        name = f"{draw.__module__}.{draw.__name__}"
        print(f"this picture failed and was left out: {name}: {type(error).__name__}: {error}")
