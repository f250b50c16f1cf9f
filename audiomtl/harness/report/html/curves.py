"""Learning curves over seeds. Contents: `drawings`, `NOTE`."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from audiomtl.harness.report.html import svg

NOTE = (
    "Lines are means over the seeds, bands reach from the lowest to the highest seed. The number of seeds"
    " falls where trainings stopped early."
)
HEIGHT, LEFT, TOP = 210.0, 44.0, 26.0
SIDES = (("train", "c2 dashed"), ("validation", "c1"))
History = Sequence[tuple[int, float]]  # epoch from 1, value


def drawings(histories: Mapping[int, Mapping[str, History]]) -> list[str]:
    """A drawing per kind of score; ``{seed: {"validation/loss": history}}``."""
    kinds = dict.fromkeys(key.rpartition("/")[2] for one in histories.values() for key in one)
    return [_drawing(kind, histories) for kind in kinds]


def _drawing(kind: str, histories: Mapping[int, Mapping[str, History]]) -> str:
    bands = {}
    for side, _ in SIDES:
        by_epoch: dict[int, list[float]] = {}
        for one in histories.values():
            for epoch, value in one.get(f"{side}/{kind}", ()):
                by_epoch.setdefault(epoch, []).append(value)
        if by_epoch:
            bands[side] = dict(sorted(by_epoch.items()))
    values = [value for band in bands.values() for some in band.values() for value in some]
    epochs = [epoch for band in bands.values() for epoch in band]
    positive = min(values) > 0 and max(values) / min(values) > 50
    across = svg.Scale(min(epochs), max(max(epochs), min(epochs) + 1), LEFT, svg.WIDTH - 8)
    up = svg.Scale.over(values, HEIGHT - 40, TOP, log=positive)
    name = kind.replace("_", " ")
    parts = [svg.text(LEFT, 14, f"{name}{' (log scale)' if positive else ''}", class_="label")]
    parts += svg.horizontal(across, HEIGHT - 40, "epoch", whole=True) + svg.vertical(
        up, LEFT, right=svg.WIDTH - 8
    )
    x = svg.WIDTH - 8.0
    for side, class_ in SIDES[::-1]:
        if side not in bands:
            continue
        band = bands[side]
        upper = [(across(epoch), up(max(some))) for epoch, some in band.items()]
        lower = [(across(epoch), up(min(some))) for epoch, some in band.items()]
        if len(histories) > 1:
            parts.append(svg.path([*upper, *lower[::-1]], f"band {class_}"))
        means = [(across(epoch), up(fmean(some))) for epoch, some in band.items()]
        seeds = f"{side}: mean over {max(map(len, band.values()))} seeds"
        parts.append(svg.path(means, f"curve {class_}", svg.title(seeds)))
        wide = len(side) * svg.CHARACTER
        parts += [
            svg.text(x, 14, side, anchor="end"),
            svg.line(x - wide - 24, 10, x - wide - 6, 10, f"curve {class_}"),
        ]
        x -= wide + 34
    return svg.drawing(HEIGHT, f"{name} by epoch", parts)
