"""Make ``events.json``: what sed_eval and sed_scores_eval answered before `audiomtl.metrics.events` did
without them.

    pip install sed_eval==0.2.1 dcase_util==0.2.20 sed_scores_eval==0.0.4    # a compiler is needed; into an environment of their own
    python tests/golden/make_events.py

Run once; the file is committed. Contents of the file: ``events``, cases with ``truth``, ``predicted``,
``offset_share`` and ``segment_seconds``; ``psds``, cases with ``truth``, ``options``, and for each clip
``edges`` of its steps, ``seconds`` and ``scores`` by class; in both the answer under ``expected``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
LABELS = ("cat", "dog", "owl", "rat")

# ---------------------------------------------------------------- the old answers


def old_counts(metric: Any, truth: list, predicted: list) -> dict[str, float]:
    for clip in sorted({event[0] for event in [*truth, *predicted]}):
        sides = [
            [
                {
                    "file": clip,
                    "event_onset": float(onset),
                    "event_offset": float(offset),
                    "event_label": label,
                }
                for name, onset, offset, label in side
                if name == clip
            ]
            for side in (truth, predicted)
        ]
        metric.evaluate(reference_event_list=sides[0], estimated_event_list=sides[1])
    total = metric.overall
    return {
        "f1": 2 * total["Ntp"] / (total["Nref"] + total["Nsys"]),
        "precision": total["Ntp"] / max(total["Nsys"], 1),
        "recall": total["Ntp"] / total["Nref"],
        "macro_f1": (
            sum(2 * one["Ntp"] / (one["Nref"] + one["Nsys"]) for one in metric.class_wise.values())
            / len(metric.class_wise)
        ),
        "error_rate": metric.overall_error_rate()["error_rate"],
    }


def old_events(case: dict) -> dict[str, float]:
    from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics

    truth, predicted = case["truth"], case["predicted"]
    labels = sorted({event[3] for event in [*truth, *predicted]})
    by_event = EventBasedMetrics(labels, t_collar=0.2, percentage_of_length=case["offset_share"])
    by_segment = SegmentBasedMetrics(labels, time_resolution=case["segment_seconds"])
    return {
        f"{kind}_{name}": float(value)
        for kind, metric in (("event", by_event), ("segment", by_segment))
        for name, value in old_counts(metric, truth, predicted).items()
    }


def old_psds(case: dict) -> float:
    import pandas as pd
    from sed_scores_eval import intersection_based

    clips = case["clips"]
    tables = {
        name: pd.DataFrame({"onset": clip["edges"][:-1], "offset": clip["edges"][1:], **clip["scores"]})
        for name, clip in clips.items()
    }
    truth: dict[str, list] = {clip: [] for clip in sorted(clips)}
    for clip, onset, offset, label in case["truth"]:
        truth[clip].append((onset, offset, label))
    seconds = {name: clip["seconds"] for name, clip in clips.items()}
    return float(intersection_based.psds(tables, truth, seconds, unit_of_time="hour", **case["options"])[0])


# ---------------------------------------------------------------- cases


def random_events(rng: np.random.Generator, *, clips: int, labels: int, grid: float) -> dict:
    """Events that overlap at will, and predictions which move, rename, drop or add some.

    Times are multiples of ``grid`` seconds.
    """
    truth, predicted = [], []

    def snapped(value: float) -> float:
        return round(value / grid) * grid

    for clip in range(clips):
        for _ in range(rng.integers(0, 9) + (clip == 0)):
            onset, length, label = (
                snapped(rng.uniform(0, 9)),
                snapped(rng.uniform(grid, 3)) + grid,
                rng.integers(labels),
            )
            truth.append([f"clip{clip}", onset, onset + length, LABELS[label]])
            for _ in range(rng.choice([0, 1, 1, 1, 1, 2])):
                moved = max(onset + snapped(rng.normal(0, 0.15)), 0.0)
                end = max(onset + length + snapped(rng.normal(0, 0.25)), moved + grid)
                predicted.append(
                    [f"clip{clip}", moved, end, LABELS[rng.integers(labels) if rng.random() < 0.2 else label]]
                )
        for _ in range(rng.choice([0, 0, 1, 2])):
            onset = snapped(rng.uniform(0, 9))
            predicted.append(
                [
                    f"clip{clip}",
                    onset,
                    onset + grid + snapped(rng.uniform(0, 2)),
                    LABELS[rng.integers(labels)],
                ]
            )
    share, segment = rng.choice([0.2, 0.2, 0.5]), rng.choice([1.0, 1.0, 0.1, 0.25, 0.3])
    return {
        "truth": truth,
        "predicted": predicted,
        "offset_share": float(share),
        "segment_seconds": float(segment),
    }


def random_psds(
    rng: np.random.Generator,
    *,
    clips: int,
    labels: int,
    steps: int,
    step: float,
    decimals: int,
    options: dict,
) -> dict:
    """Noisy scores which are higher where events are.

    Few ``decimals`` make ties, a step from a clip to the next differs.
    """
    names, truth, tables = LABELS[:labels], [], {}
    for clip in range(clips):
        edges = (step * np.arange(steps + clip % 3 + 1)).tolist()
        scores = {name: rng.normal(-1.5, 1, len(edges) - 1) for name in names}
        for name in names:
            for _ in range(rng.integers(0, 3) + (clip == 0)):
                onset = rng.uniform(0, edges[-1] * 0.8)
                onset = float(rng.choice([round(onset / step) * step, onset]))
                offset = float(onset + rng.choice([step * rng.integers(1, 9), rng.uniform(0.1, 8 * step)]))
                if any(
                    one[0] == f"clip{clip}" and one[3] == name and one[1] <= offset and onset <= one[2]
                    for one in truth
                ):
                    continue  # events of one class may not touch
                truth.append([f"clip{clip}", onset, offset, name])
                inside = (np.array(edges[1:]) > onset + rng.normal(0, step)) & (
                    np.array(edges[:-1]) < offset + rng.normal(0, step)
                )
                scores[name] += np.where(inside, rng.uniform(0, 4), 0)
                confused = rng.choice(names)
                scores[confused] = scores[confused] + np.where(inside, rng.uniform(0, 2), 0)
        tables[f"clip{clip}"] = {
            "edges": edges,
            "seconds": float(edges[-1]),
            "scores": {
                name: np.round(1 / (1 + np.exp(-row)), decimals).tolist() for name, row in scores.items()
            },
        }
    return {"truth": truth, "clips": tables, "options": options}


SCENARIO_1 = {
    "dtc_threshold": 0.7,
    "gtc_threshold": 0.7,
    "cttc_threshold": None,
    "alpha_ct": 0.0,
    "alpha_st": 1.0,
    "max_efpr": 100.0,
}
# DCASE 2021 task 4
SCENARIO_2 = SCENARIO_1 | {
    "dtc_threshold": 0.1,
    "gtc_threshold": 0.1,
    "cttc_threshold": 0.3,
    "alpha_ct": 0.5,
}
OPTIONS = [
    SCENARIO_1,
    SCENARIO_2,
    SCENARIO_1 | {"max_efpr": 5000.0},
    SCENARIO_2 | {"max_efpr": 5000.0},
    SCENARIO_1 | {"alpha_st": 0.0, "max_efpr": 2000.0},
    SCENARIO_1 | {"dtc_threshold": 0.5, "gtc_threshold": 0.5, "alpha_st": 0.3, "max_efpr": 800.0},
    SCENARIO_2 | {"alpha_ct": 1.0, "alpha_st": 0.0, "max_efpr": 3000.0},
    SCENARIO_1 | {"dtc_threshold": 0.0, "gtc_threshold": 0.0, "max_efpr": 1500.0},
    SCENARIO_1 | {"dtc_threshold": 1.0, "gtc_threshold": 1.0, "alpha_st": 0.0, "max_efpr": 1500.0},
    SCENARIO_1 | {"max_efpr": 1.0},
]


def event_cases() -> dict[str, dict]:
    """Edge cases by name, then random ones."""
    two = [["a", 0.0, 1.0, "dog"], ["a", 2.0, 4.0, "cat"], ["b", 0.0, 1.0, "dog"]]
    sides: dict[str, tuple[list, list]] = {
        "nothing predicted": (two, []),
        "all right": (two, two),
        "one true event, missed": (two[:1], []),
        "only in a clip without events": (two, [["c", 0.0, 1.0, "dog"], ["c", 0.0, 1.0, "cow"]]),
        "onset at its collar": (
            two,
            [["a", 0.2, 1.0, "dog"], ["a", 2.2, 4.0, "cat"], ["b", 0.20000000000000007, 1.0, "dog"]],
        ),
        "onset at its collar by a sum": (
            [["a", 0.1, 1.0, "dog"], ["a", 0.7, 1.9, "cat"]],
            [["a", 0.3, 1.0, "dog"], ["a", 0.9, 1.9, "cat"]],
        ),
        "offset at its collar": (
            two,
            [["a", 0.0, 1.2, "dog"], ["a", 2.0, 4.4, "cat"], ["b", 0.0, 0.8, "dog"]],
        ),
        "offset beyond its collar": (
            two,
            [["a", 0.0, 1.2000000000000002, "dog"], ["a", 2.0, 4.400000000000001, "cat"]],
        ),
        "substituted": (
            two,
            [["a", 0.0, 1.0, "cat"], ["a", 2.0, 4.0, "dog"], ["b", 0.1, 1.0, "owl"], ["b", 0.0, 1.0, "rat"]],
        ),
        "a prediction makes up for one event only": (
            [["a", 0.0, 1.0, "dog"], ["a", 0.1, 1.1, "cat"], ["a", 0.05, 1.0, "owl"]],
            [["a", 0.0, 1.0, "rat"], ["a", 0.1, 1.0, "owl"]],
        ),
        "same-class events overlap": (
            [["a", 0.0, 2.0, "dog"], ["a", 0.1, 2.1, "dog"], ["a", 0.2, 2.2, "dog"], ["a", 1.0, 3.0, "dog"]],
            [["a", 0.2, 2.1, "dog"], ["a", 0.0, 2.0, "dog"], ["a", 0.3, 2.3, "dog"], ["a", 0.9, 2.9, "cat"]],
        ),
        "the greedy pairs are not the most": (
            [["a", 0.0, 1.0, "dog"], ["a", 0.3, 1.0, "dog"], ["a", 0.5, 1.0, "dog"]],
            [["a", 0.15, 1.0, "dog"], ["a", 0.35, 1.0, "dog"], ["a", 0.65, 1.0, "dog"]],
        ),
        "segment borders are touched": (
            [["a", 1.0, 2.0, "dog"], ["a", 2.0, 3.0, "cat"], ["a", 3.5, 4.0, "dog"]],
            [["a", 0.9999999, 2.0, "dog"], ["a", 2.0, 3.0000001, "cat"], ["a", 3.0, 5.0, "dog"]],
        ),
        "one class in every segment twice": (
            [["a", 0.0, 9.5, "dog"], ["a", 0.5, 3.0, "dog"]],
            [["a", 0.0, 0.5, "dog"], ["a", 0.2, 0.9, "dog"]],
        ),
        "shorter than a segment": (
            [["a", 0.4, 0.40001, "dog"]],
            [["a", 0.5, 0.50001, "dog"], ["a", 0.5, 0.6, "cat"]],
        ),
    }
    cases = {
        name: {"truth": a, "predicted": b, "offset_share": 0.2, "segment_seconds": 1.0}
        for name, (a, b) in sides.items()
    }
    for seed in range(20):
        rng = np.random.default_rng(seed)
        grid = (0.05, 0.1, 1e-3, 0.25)[seed % 4]
        cases[f"random {seed}"] = random_events(rng, clips=1 + seed % 6, labels=1 + seed % 4, grid=grid)
    return cases


def psds_cases() -> dict[str, dict]:
    """Edge cases by name, then random ones under every set of options."""

    def case(
        truth: list, scores: dict[str, dict[str, list[float]]], step: float = 1.0, **options: Any
    ) -> dict:
        edges = {
            clip: (step * np.arange(len(next(iter(rows.values()))) + 1)).tolist()
            for clip, rows in scores.items()
        }
        clips = {
            clip: {"edges": edges[clip], "seconds": edges[clip][-1], "scores": rows}
            for clip, rows in scores.items()
        }
        return {"truth": truth, "clips": clips, "options": SCENARIO_1 | {"max_efpr": 1000.0} | options}

    dog, silent = ["a", 0.0, 2.0, "dog"], [0.0] * 30
    inf = float("-inf")
    cases = {
        "one score for all": case([dog], {"a": {"dog": [0.5] * 8}}, dtc_threshold=0.2),
        "a tie of right and wrong": case([dog], {"a": {"dog": [0.5, 0.5, 0.1, 0.5, *silent]}}),
        "the event in two pieces": case(
            [dog, ["a", 4.0, 9.0, "dog"]],
            {"a": {"dog": [0.9, 0.9, 0.1, 0.1, 0.8, 0.2, 0.7, 0.7, 0.7, *silent]}},
        ),
        "shares met exactly, but for rounding": case(
            [["a", 0.2, 0.9, "dog"]], {"a": {"dog": [0.1] * 2 + [0.9] * 10 + [0.1] * 8 + silent}}, step=0.1
        ),
        "same-class events nearly touch": case(
            [dog, ["a", 2.000001, 3.0, "dog"]], {"a": {"dog": [0.9, 0.8, 0.7, 0.1, 0.2, *silent]}}
        ),
        "a class never heard": case(
            [dog, ["a", 5.0, 7.0, "cat"]],
            {"a": {"cat": [0.0] * 32, "dog": [0.9, 0.9, *silent]}},
            alpha_st=0.5,
        ),
        "cross triggers": case(
            [dog, ["a", 5.0, 7.0, "cat"], ["a", 9.0, 10.0, "owl"]],
            {
                "a": {
                    "owl": [0.3, 0.2, 0.1, 0.1, 0.1, 0.6, 0.5, 0.1, 0.1, 0.9, *silent],
                    "cat": [0.8, 0.7, 0.1, 0.1, 0.1, 0.6, 0.5, 0.1, 0.1, 0.4, *silent],
                    "dog": [0.5, 0.9, 0.1, 0.2, 0.1, 0.6, 0.6, 0.1, 0.1, 0.8, *silent],
                }
            },
            cttc_threshold=0.3,
            alpha_ct=0.5,
            alpha_st=0.0,
        ),
        "never at all (minus infinity)": case(
            [dog], {"a": {"dog": [0.9, 0.4, inf, inf, 0.7, inf, 0.7, inf]}}, max_efpr=1e4
        ),
        "minus infinity is below every threshold": case(
            [dog], {"a": {"dog": [inf] * 6 + [0.3, inf]}}, dtc_threshold=0.2, max_efpr=1e4
        ),
        "more than two scores at each step": case(
            [dog], {"b": {"dog": [3.0, 2.0, 1.0]}, "a": {"dog": [2.0, 3.0, -1.0]}}, max_efpr=1e4
        ),
    }
    for seed, options in enumerate([*OPTIONS, *OPTIONS, *OPTIONS]):
        made = random_psds(
            np.random.default_rng(100 + seed),
            clips=1 + seed % 4,
            labels=2 + seed % 3,
            steps=(12, 20, 35)[seed % 3],
            step=(0.5, 0.25, 0.02, 1.0)[seed % 4],
            decimals=(2, 3, 1, 4)[seed % 4],
            options=options,
        )
        if seed >= len(OPTIONS):  # a curve that ends after some false positives, however short the clips
            total = sum(clip["seconds"] for clip in made["clips"].values())
            made["options"] = options | {
                "max_efpr": (2 + seed % 7) * 3600 / total,
                "alpha_st": min(options["alpha_st"], 0.3),
            }
        cases[f"random {seed}"] = made
    return cases


def main() -> None:
    import warnings

    warnings.simplefilter("ignore")
    golden = {
        "events": {name: case | {"expected": old_events(case)} for name, case in event_cases().items()},
        "psds": {name: case | {"expected": old_psds(case)} for name, case in psds_cases().items()},
    }
    text = json.dumps(golden)
    (HERE / "events.json").write_text(text.replace('}, "', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
