"""Forced alignment: how far phone boundaries are from those that people set, with and without phone times in
the training, and whether a text that was not said is noticed.

Run ``python benchmarks/alignment.py [NAME ...] [--trained KIND ...] [--seed N]``; it prints Markdown tables.
NAME is an experiment of the family ctc (default: those of `EXPERIMENTS` whose data are there), KIND is
``frames`` (frame-wise labels: phone times), ``ctc`` (transcripts alone) or ``both`` (CTC with a frame-wise
loss beside it). Each training takes one to two minutes. Boundaries are those of the test split, of speakers
and sentences that are not in train; probabilities are fitted on the validation split.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.families.ctc import forced, said
from audiomtl.families.ctc import model as family
from audiomtl.nn.fit import seed_everything

EXPERIMENTS = {"ctc_german": 8, "ctc_emodb": 15, "ctc_timit": 24}  # epochs of a timed training
NETWORK = {
    "network.units": [100, 100],
    "network.cell": "lstm",
    "network.convolution_filters": 64,
    "network.dropout": 0.3,
    "features.hop_seconds": 0.01,
    "optimizer.name": "adam",
    "optimizer.learning_rate": 0.002,
    "optimizer.schedule": "cosine",
    "optimizer.clipnorm": 5.0,
    "augmentation.speed.probability": 0.6,
    "augmentation.speed.factors": [0.9, 1.1],
    "augmentation.vtlp.probability": 0.5,
    "augmentation.vtlp.warp": 0.1,
}
CTC = {"network.objective": "ctc", "network.time_reduction": 2, "network.convolution_frames": 5}
TRAINED: dict[str, dict[str, Any]] = {
    "frames": {
        "network.objective": "frames",
        "network.time_reduction": 1,
        "network.convolution_frames": 9,
        "training.monitor": "validation/frame_accuracy",
        "training.monitor_direction": "maximize",
    },
    "ctc": {**CTC, "network.frames_weight": 0.0},
    "both": {**CTC, "network.frames_weight": 0.3},
}
LONGER = 1.5  # times as many epochs of CTC, whose network has half the steps
MEASURED = ("median_ms", "mean_ms", "within_10_ms", "within_20_ms", "within_50_ms")
PUBLISHED = """
| published, TIMIT | within 20 ms |
| --- | --- |
| two people (Hosom, 2009) | 93.49 % |
| HMM with transition-dependent states (Hosom, 2009) | 93.36 % |
| its baseline, a hybrid HMM (Hosom, 2009) | 91.48 % |
| conventional HMM systems (Stolcke et al., 2014) | 80 to 89 % |

The published figures are of the whole corpus, with 462 speakers in train and its own symbols; those above are
of a sample, with 6 speakers in train and 39 symbols. They are not comparable."""


def settings_of(name: str, kind: str) -> Any:
    epochs = round(EXPERIMENTS.get(name, 20) * (1 if kind == "frames" else LONGER))
    raw = config.override(
        config.load_experiment(name).raw, {**NETWORK, **TRAINED[kind], "training.epochs": epochs}
    )
    raw = {key: value for key, value in raw.items() if key not in ("ablation", "expected", "decoding")}
    return config.settings_of(raw, name)


def measured(name: str, kind: str, seed: int) -> dict[str, Any]:
    settings = settings_of(name, kind)
    prepared = family.prepare(settings, seed)
    begun = time.process_time()
    seed_everything(seed)
    fitted = family.train(settings, prepared, seed, lambda epoch, scores: True, None)
    row: dict[str, Any] = {"seconds": time.process_time() - begun}
    sure = forced.calibrated(fitted, family.outputs(fitted, prepared.examples["validation"]))
    fitted = replace(fitted, known=replace(fitted.known, said=sure))
    found = family.outputs(fitted, prepared.examples["test"])
    row |= forced.boundary_scores(fitted, found)
    row["blank"] = family.evaluate(fitted, found)["blank_share"]
    row["step"] = 1000 * settings.features.seconds(settings.network.time_reduction)
    texts = forced.texts_of(fitted, found)
    row["clips"], row["phones"] = len(texts), sum(len(one[1]) for one in texts)
    if sure is not None:
        trials = said.trials(
            [one[0] for one in texts], [one[1] for one in texts], forced.aligner(fitted), seed=1
        )
        row["said"] = said.measured(sure, trials)
    return row


def head(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]


def boundaries(rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    columns = ("experiment", "trained on", "step", "clips", "boundaries", "blanks", "median", "mean")
    lines = head(*columns, "within 10 ms", "20 ms", "50 ms", "CPU")
    for (name, kind), row in rows.items():
        times = " | ".join(f"{row[f'boundary_{key}']:.1f} ms" for key in MEASURED[:2])
        within = " | ".join(f"{100 * row[f'boundary_{key}']:.1f} %" for key in MEASURED[2:])
        counts = f"{row['step']:.0f} ms | {row['clips']} | {row['phones']} | {row['blank']:.2f}"
        lines.append(f"| {name} | {kind} | {counts} | {times} | {within} | {row['seconds']:.0f} s |")
    return "\n".join(lines)


def planted(rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    columns = ("said, rejected", "not said, accepted", "equal error", "calibration error")
    lines = head("experiment", "trained on", "judged", *columns)
    for (name, kind), row in rows.items():
        for what in ("phone", "word", "text") if "said" in row else ():
            shares = [
                f"{100 * row['said'][f'{what}_{key}']:.1f} %"
                for key in ("rejected", "accepted", "equal_error", "calibration_error")
            ]
            lines.append(f"| {name} | {kind} | {what} | {' | '.join(shares)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(EXPERIMENTS))
    parser.add_argument("--trained", nargs="+", choices=list(TRAINED), default=["frames", "ctc"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name in options.names:
        for kind in options.trained:
            try:
                rows[name, kind] = measured(name, kind, options.seed)
            except UserError as error:
                print(f"{name}: left out: {error}")
                break
    print("\n" + boundaries(rows))
    print(PUBLISHED)
    print(
        "\nTexts of other clips, and words and phones in the place of others (threshold: probability 0.5):\n"
    )
    print(planted(rows))


if __name__ == "__main__":
    main()
