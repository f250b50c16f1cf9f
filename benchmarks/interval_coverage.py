"""How often intervals hold the truth: simulated at the designs of the shipped experiments. Prints Markdown
tables.

    python benchmarks/interval_coverage.py [--sets 1000] [--similarity 0.1 0.3]

Each set of answers is drawn with a known accuracy, and the share of 95 % intervals that hold it is counted.
A clip is right where a normal variable stays below the quantile of the accuracy. Its variance of 1 is divided
among the clip's groups (``--similarity`` for each column), what the training of each seed and fold adds (5 %
each), and the clip itself; so the accuracy over new groups is exact.

The methods: *seeds*, Student's t over all seeds, as until version 0.2; *folds*, `intervals.over_folds`;
*new groups*, `clusters.group_limits`, which is about the models that were trained: of what a fold adds it
knows nothing, and of what a seed adds only where a fold has several. `coverage_corpora.py` checks on real
trainings that folds which share training data do no harm.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from audiomtl.metrics import clusters, intervals

TRAINING = 0.05  # of the variance: what a seed adds, and what a fold adds
ACCURACIES = (0.5, 0.75, 0.9, 0.95, 0.98)
SOURCES = {1: 194, 2: 40, 3: 9, 4: 2, 5: 1, 6: 1}  # clips of a source -> sources, ESC-10 folds 1 to 4


@dataclass(frozen=True)
class Design:
    """The test clips of an experiment."""

    name: str
    groups: tuple[np.ndarray, ...]  # columns (clips,)
    fold: np.ndarray  # (clips,)
    seeds: int  # of each fold
    length: int = 0  # symbols of a clip whose errors are counted; 0: a clip is right or wrong


def designs() -> list[Design]:
    sizes = np.repeat(list(SOURCES), list(SOURCES.values()))
    source = np.repeat(np.arange(len(sizes)), sizes)
    blocks = np.repeat(np.arange(4), [13, 8, 14, 15])
    number = np.arange(len(blocks))
    german, order = np.arange(144), np.random.default_rng(0).permutation(144)
    return [
        Design("transfer_esc10: 4 folds, 2 seeds, 247 sources, 320 clips", (source,), source % 4, 2),
        Design("transfer_dog_rooster: 4 folds, 2 seeds, 59 sources, 64 clips", *_even(59, 64, 4), 2),
        Design("transfer_scenes: 5 folds, 1 seed, 120 sources, 480 clips", *_even(120, 480, 5), 1),
        Design("multitask_scenes: 3 folds, 1 seed, 72 sources, 288 clips", *_even(72, 288, 3), 1),
        Design("fusion_pictures: 3 folds, 1 seed, 36 sources, 1440 clips", *_even(36, 1440, 3), 1),
        Design("mil_songs: 1 fold, 5 seeds, 12 artists, 96 clips", *_even(12, 96, 1), 5),
        Design(
            "mil_emodb: 4 folds, 2 seeds, 8 speakers x 8 sentences, 50 clips",
            (2 * blocks + number % 2, 2 * blocks + number // 2 % 2),
            blocks,
            2,
        ),
        Design(
            "ctc_german: 1 fold, 5 seeds, 10 speakers x 60 sentences, 144 clips of 30 phones",
            (german % 10, order % 60),
            0 * german,
            5,
            30,
        ),
    ]


def _even(groups: int, clips: int, folds: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    group = np.arange(clips) % groups
    return (group,), group % folds


# ---------------------------------------------------------------- sets of answers


def draw(
    design: Design, accuracy: float, similarity: float, sets: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Share of right symbols of every clip as each seed of its fold answers, (sets, seeds, clips); and the
    accuracy (sets,) on new groups of what was trained: with several seeds of such trainings, with one of the
    models themselves.
    """
    clips, folds = len(design.fold), int(design.fold.max()) + 1
    of_groups = np.zeros((sets, 1, clips))
    for column in design.groups:
        drawn = random.standard_normal((sets, 1, int(column.max()) + 1))
        of_groups += np.sqrt(similarity) * drawn[..., column]
    of_fold = np.sqrt(TRAINING) * random.standard_normal((sets, 1, folds))
    of_seed = np.sqrt(TRAINING) * random.standard_normal((sets, design.seeds, folds))
    rest = 1 - similarity * len(design.groups) - 2 * TRAINING
    quantile, given = ndtri(accuracy), of_fold if design.seeds > 1 else of_fold + of_seed
    left = 1 - TRAINING * (1 if design.seeds > 1 else 2)
    weights = np.bincount(design.fold) / clips
    truth = (ndtr((quantile - given) / np.sqrt(left)) * weights).sum(axis=-1).mean(axis=-1)
    shared = of_groups + (of_fold + of_seed)[..., design.fold]
    if design.length:
        chance = ndtr((quantile - shared) / np.sqrt(rest))
        return random.binomial(design.length, chance) / design.length, truth
    own = random.standard_normal((sets, 1, clips))  # a clip is as hard for every seed
    return (shared + np.sqrt(rest) * own < quantile).astype(float), truth


def by_method(design: Design, answers: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Low and high of each set by each method; of error rates where the design has a length."""
    right = 1 - answers if design.length else answers
    numbers = range(int(design.fold.max()) + 1)
    of_fold = np.stack([right[..., design.fold == number].mean(axis=-1) for number in numbers], axis=-1)
    every = of_fold.reshape(len(answers), -1)  # (sets, seeds * folds)
    half = stdtrit(every.shape[1] - 1, 0.975) / np.sqrt(every.shape[1]) * every.std(axis=1, ddof=1)
    found = {"seeds": (every.mean(axis=1) - half, every.mean(axis=1) + half)}
    scale: intervals.Scale = "rate" if design.length else "share"
    if len(numbers) > 1:
        found["folds"] = intervals.limits_of_mean(of_fold.mean(axis=1), scale=scale)
    order = np.tile(numbers, design.seeds)
    training = [intervals.training_variance(one, order) for one in every]
    counts = np.stack([right.mean(axis=1), np.ones(right[:, 0].shape)], axis=-1)  # (sets, clips, 2)
    _, low, high = clusters.group_limits(
        clusters.ratio,
        counts,
        design.groups,
        scale=scale,
        right_or_wrong=not design.length,
        training=(np.array([variance for variance, _ in training]), training[0][1]),
    )
    found["groups"] = (low, high)
    return found


def coverage(
    design: Design, accuracy: float, similarity: float, sets: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Share of the intervals that hold the truth, and their mean width, by method."""
    answers, of_trained = draw(design, accuracy, similarity, sets, np.random.default_rng(seed))
    found = {}
    for name, (low, high) in by_method(design, answers).items():
        truth = of_trained if name == "groups" else accuracy
        truth = 1 - truth if design.length else truth
        found[name] = float(np.mean((low <= truth) & (truth <= high))), float(np.mean(high - low))
    return found


METHODS = {"seeds": "seeds, until 0.2", "folds": "folds", "groups": "new groups"}


def table(similarity: float, sets: int) -> str:
    """A row per design and method, a column per accuracy: share that holds the truth (mean width)."""
    head = ["test clips of", "interval over", *(f"{accuracy:g}" for accuracy in ACCURACIES)]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for design in designs():
        found = [coverage(design, accuracy, similarity, sets) for accuracy in ACCURACIES]
        for method, shown in METHODS.items():
            cells = [f"{one[method][0]:.3f} ({one[method][1]:.3f})" for one in found if method in one]
            if cells:
                lines.append(f"| {design.name} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--similarity", type=float, nargs="*", default=[0.1, 0.3])
    chosen = parser.parse_args()
    for one in chosen.similarity:
        print(f"\nShare of 95 % intervals that hold the truth (mean width); similarity {one:g}\n")
        print(table(one, chosen.sets), flush=True)
