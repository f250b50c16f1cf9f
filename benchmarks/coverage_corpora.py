"""How often intervals hold the truth where classifiers really learn and folds share training data. Prints a
Markdown table.

    python benchmarks/coverage_corpora.py [--draws 300] [--groups 20 40] [--corpora songs scenes]

A corpus of the project is generated with many more groups (artists of songs, sources of scenes) than an
experiment has; a clip is the mean and deviation of its MFCC. Again and again some groups are drawn as the
data of an experiment with 4 folds, whose classifier is a linear discriminant, trained on the other folds. The
groups that were not drawn tell what is true: the accuracy of the four models, and its mean over all draws,
that of the recipe. The generated corpus is kept in AUDIOMTL_CACHE.
"""

import argparse

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, features
from audiomtl.metrics import clusters, intervals
from audiomtl.settings.datasets import dataset
from audiomtl.settings.shared import Features

FOLDS = 4
MFCC = Features(
    kind="mfcc",
    sample_rate=16000,
    window_seconds=0.032,
    hop_seconds=0.032,
    n_fft=512,
    bands=40,
    coefficients=20,
    low_hz=50.0,
    high_hz=7600.0,
    floor_db=-100.0,
    scaling="none",
)
CORPORA = {
    "songs": {
        "dataset": "songs",
        "label": "style",
        "groups": ["artist"],
        "corpus_seed": 2019,
        "songs": 960,
        "styles": 3,
        "artists": 240,
        "shortest_seconds": 8.0,
        "longest_seconds": 10.0,
        "style_share": 0.6,
    },
    "scenes": {
        "dataset": "scenes",
        "label": "event",
        "groups": ["source"],
        "corpus_seed": 2019,
        "sources": 20,
        "takes": 4,
        "signal_to_noise_db": 6.0,
        "reverberation_seconds": 0.4,
    },
}


def clips(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (clips, 40), class and group of each clip."""
    data = dataset(name).Settings(**CORPORA[name])
    table: pd.DataFrame = catalog.clips(data)
    rows = []
    for path in table["path"]:
        frames = features.extract(audio.load(path, sample_rate=MFCC.sample_rate), MFCC)
        rows.append(np.concatenate([frames.mean(axis=0), frames.std(axis=0)]))
    labels, groups = (np.unique(table[one], return_inverse=True)[1] for one in (data.label, data.groups[0]))
    return np.stack(rows), labels, groups


def draws(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, drawn: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each draw the true accuracy of its models, (draws,), and low and high over folds and for new groups,
    (draws, 2).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    random = np.random.default_rng(0)
    truth, over_folds, for_groups = [], [], []
    for _ in range(count):
        chosen = random.permutation(groups.max() + 1)[:drawn]
        fold = np.full(groups.max() + 1, -1)
        fold[chosen] = np.arange(drawn) % FOLDS
        of_clip, right, true = fold[groups], np.zeros(len(groups)), []
        for test in range(FOLDS):
            train, tested = (of_clip >= 0) & (of_clip != test), of_clip == test
            model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
                rows[train], labels[train]
            )
            said = model.predict(rows[of_clip == -1])
            true.append(np.mean(said == labels[of_clip == -1]))
            right[tested] = model.predict(rows[tested]) == labels[tested]
        inside = of_clip >= 0
        found = intervals.over_folds(
            [right[of_clip == test].mean() for test in range(FOLDS)], range(FOLDS), scale="share"
        )
        counts = np.stack([right[inside], np.ones(inside.sum())], axis=1)
        _, low, high = clusters.group_limits(
            clusters.ratio, counts, [groups[inside]], scale="share", right_or_wrong=True
        )
        truth.append(np.mean(true))
        over_folds.append((found.low, found.high))
        for_groups.append((low, high))
    return np.array(truth), np.array(over_folds), np.array(for_groups)


def main(count: int, sizes: list[int], names: list[str]) -> None:
    head = ["corpus", "groups", "accuracy", "folds, recipe", "new groups, models", "new groups, recipe"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name in names:
        rows, labels, groups = clips(name)
        for drawn in sizes:
            truth, folds, of_groups = draws(rows, labels, groups, drawn, count)
            cells = []
            for limits, true in ((folds, truth.mean()), (of_groups, truth), (of_groups, truth.mean())):
                held = np.mean((limits[:, 0] <= true) & (true <= limits[:, 1]))
                cells.append(f"{held:.3f} ({np.mean(limits[:, 1] - limits[:, 0]):.3f})")
            print(f"| {name} | {drawn} | {truth.mean():.3f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--groups", type=int, nargs="*", default=[20, 40])
    parser.add_argument("--corpora", nargs="*", default=list(CORPORA), choices=list(CORPORA))
    chosen = parser.parse_args()
    main(chosen.draws, chosen.groups, chosen.corpora)
