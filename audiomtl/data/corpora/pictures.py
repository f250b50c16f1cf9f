"""Pictures with questions: neither the picture nor the words alone decide the class, only both.

Conventions: a picture is an RGB PNG of 32 x 32 pixels with some objects, of unlike colours and unlike shapes,
in unlike corners, on textured noise. The words ask where one of them is, by its colour ("in which corner is
the red one") or by its shape ("where do you see the circle"); the class is its corner. Objects are drawn
before the question is, and every object is asked for with the same probability: the words alone leave every
corner as probable, the picture alone leaves those that are not empty.

A *source* is a hand: a texture, a brightness and a way of asking, of its own, in one fold only. Some ways of
asking name an object that is not asked for, so that the order of words counts.

Everything is a function of the settings: a clip's draws depend on ``corpus_seed``, its source and its number
alone.

Contents: `SHAPES`, `COLOURS`, `CORNERS`, `clips`.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.ndimage import gaussian_filter

from audiomtl.data.corpora import generated
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count, NotNegative
from audiomtl.settings.validation import nearest


class Settings(DataSet):
    """``[data]`` of the corpus."""

    corpus_seed: int = Field(description="Seed of the generator; another seed makes another corpus.")
    sources: Annotated[int, Field(ge=5, multiple_of=5)] = Field(
        description="Number of sources, each with a texture and a way of asking, dealt to five folds in turn."
    )
    takes: Count = Field(description="Number of pictures per source.")
    objects: Annotated[int, Field(ge=2, le=4)] = Field(description="Number of objects per picture.")
    noise: NotNegative = Field(description="Standard deviation of the texture, where white is 1.")
    shape_share: Annotated[float, Field(ge=0, le=1)] = Field(
        description="Fraction of questions that ask for a shape, which is harder to see than a colour."
    )


VERSION = 1  # of this generator: raise it whenever the same settings would give other bytes
SIZE = 32  # pixels
FOLDS = 5
SHAPES = ("circle", "cross", "square", "triangle")
COLOURS = {
    "red": (0.85, 0.2, 0.2),
    "green": (0.2, 0.75, 0.25),
    "blue": (0.25, 0.35, 0.9),
    "yellow": (0.9, 0.85, 0.2),
}
# lower half, right half
CORNERS = {
    "bottom left": (1, 0),
    "bottom right": (1, 1),
    "top left": (0, 0),
    "top right": (0, 1),
}
RADIUS = (3.5, 5.0)  # pixels, from an object's centre
LABELS = ("corner", "asked")
OPENINGS = ("", "please", "look", "tell me", "now")
QUESTIONS = ("in which corner is the {}", "where do you see the {}", "find the {} for me", "the {} is where")
# of an object that is not asked for
ASIDES = (
    "",
    "",
    "",
    "not the {}",
    "there is the {} too",
    "forget the {}",
)

Random = np.random.Generator


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """Table of pictures and questions, made in ``folder`` the first time.

    Returns
    -------
    pd.DataFrame with clip_id, path (of the picture), caption, corner (the class), asked (colour or shape),
    objects, source, fold

    Raises
    ------
    UserError : no such label.
    """
    if data.label and data.label not in LABELS:
        raise UserError(
            f'data.label = "{data.label}": must be one of {", ".join(LABELS)}{nearest(data.label, LABELS)}'
        )
    swept = data.model_dump(exclude=generated.READ_ONLY)
    key = hashlib.sha256(repr([VERSION, sorted(swept.items())]).encode()).hexdigest()[:12]
    rows = generated.rows(Path(folder).absolute() / f"pictures-{key}", partial(_make, data), ending=".png")
    return pd.DataFrame(rows)[["clip_id", "path", "caption", "corner", "asked", "objects", "source", "fold"]]


def _make(data: Settings, folder: Path) -> Iterator[dict[str, Any]]:
    for source in range(data.sources):
        for take in range(data.takes):
            yield _clip(data, folder, source, take)


def _generator(data: Settings, *names: object) -> Random:
    seed = hashlib.sha256("/".join([str(data.corpus_seed), *map(str, names)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(seed[:16], "big"))


def _clip(data: Settings, folder: Path, source: int, take: int) -> dict[str, Any]:
    """Write one picture; its row of the index."""
    import matplotlib.image  # here, so that reading the settings stays quick

    habits = _generator(data, "source", source)
    grain, ground, contrast = (
        habits.uniform(0.5, 3),
        habits.uniform(0.35, 0.65) + habits.uniform(-0.08, 0.08, 3),
        habits.uniform(0.5, 1),
    )
    opening, question, aside = (habits.choice(some) for some in (OPENINGS, QUESTIONS, ASIDES))
    random = _generator(data, "clip", source, take)
    colours = random.choice(list(COLOURS), data.objects, replace=False)
    shapes = random.choice(SHAPES, data.objects, replace=False)
    corners = random.choice(sorted(CORNERS), data.objects, replace=False)
    picture = _texture(grain, ground, data.noise * contrast, random)
    for colour, shape, corner in zip(colours, shapes, corners, strict=True):
        radius = random.uniform(*RADIUS)
        # from the picture's corner
        centre = np.array([random.uniform(radius, SIZE / 2 - 0.5 - radius) for _ in range(2)])
        inside = _inside(shape, np.where(CORNERS[corner], SIZE - 1 - centre, centre), radius)
        shade = np.array(COLOURS[colour]) + random.normal(0, 0.06, 3)
        picture[inside] = shade + data.noise * 0.5 * random.standard_normal((int(inside.sum()), 3))
    wanted, other = random.permutation(data.objects)[:2]
    asked = "shape" if random.random() < data.shape_share else "colour"
    words = [opening, question.format(shapes[wanted] if asked == "shape" else f"{colours[wanted]} one")]
    if aside:
        name = shapes[other] if random.random() < data.shape_share else f"{colours[other]} one"
        words.insert(int(random.integers(1, 3)), aside.format(name))
    clip = f"picture_{source:03d}_{take:03d}"
    matplotlib.image.imsave(folder / f"{clip}.png", (np.clip(picture, 0, 1) * 255).astype(np.uint8))
    row = {
        "clip_id": clip,
        "caption": " ".join(" ".join(words).split()),
        "corner": str(corners[wanted]),
        "asked": asked,
    }
    objects = ", ".join(
        sorted(
            f"{colour} {shape} {corner}"
            for colour, shape, corner in zip(colours, shapes, corners, strict=True)
        )
    )
    return row | {"objects": objects, "source": f"source_{source:03d}", "fold": source % FOLDS + 1}


def _texture(grain: float, ground: np.ndarray, amount: float, random: Random) -> np.ndarray:
    """(SIZE, SIZE, 3): noise of a grain in pixels around a ground colour."""
    noise = gaussian_filter(random.standard_normal((SIZE, SIZE, 3)), (grain, grain, 0))
    return ground + amount * noise / noise.std()


def _inside(shape: str, centre: np.ndarray, radius: float) -> np.ndarray:
    """(SIZE, SIZE) bool: the pixels of a shape."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - centre[:, None, None]
    if shape == "circle":
        return np.hypot(rows, columns) <= radius
    if shape == "square":
        return np.maximum(np.abs(rows), np.abs(columns)) <= 0.85 * radius
    if shape == "cross":
        return (np.minimum(np.abs(rows), np.abs(columns)) <= 0.3 * radius) & (
            np.maximum(np.abs(rows), np.abs(columns)) <= radius
        )
    return (rows <= 0.8 * radius) & (np.abs(columns) <= 0.55 * (rows + radius))
