"""What is left of the accuracy of a fusion network when inputs are missing, and what a text contributes.

Run ``python benchmarks/missing_modality.py [EXPERIMENT ...] [--seeds S ...]``; it prints Markdown tables of
validation accuracies (no test clip is scored), by default of fusion_pictures and fusion_singing, one seed:
six and seven trainings of about a minute of CPU each.

*Missing*: each modality is taken away from a share of the validation clips when a trained network answers;
the others keep theirs. Networks were trained with a ``modality_dropout`` of 0, 0.1 and 0.3. A clip's answer
does not depend on its neighbours, so the mean accuracy over all choices of the clips is the straight line
between that of all clips with and of all clips without the modality: it is what the table has. Beside it
stands a network that was trained without the modality: the ablation of the experiment that leaves out it
alone.

*Shuffled*: each clip has the text, or score, of another clip of its split, when the trained network of the
experiment answers, and for texts in training and answering.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as audiomtl does, which is imported later

import numpy as np
import tensorflow as tf

from audiomtl import config
from audiomtl.families.fusion import model as fusion
from audiomtl.families.fusion.examples import Example
from audiomtl.nn.fit import seed_everything

EXPERIMENTS = ("fusion_pictures", "fusion_singing")
DROPOUTS = (0.0, 0.1, 0.3)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHUFFLED = ("text", "score")  # kinds of modalities


def trained(raw: Mapping[str, Any], seed: int, shuffle: str = "") -> tuple[Any, list[Example]]:
    """A network with the weights of its best epoch, and its validation clips; with ``shuffle`` the named
    modality of train and validation clips is that of other clips.
    """
    settings = config.settings_of(raw, "missing_modality")
    seed_everything(seed)
    prepared = fusion.prepare(settings, seed)
    if shuffle:
        sides = {
            side: shuffled(prepared.examples[side], shuffle, seed) if side != "test" else []
            for side in prepared.examples
        }
        prepared = replace(prepared, examples=sides)
    seed_everything(seed)  # again, as the harness does
    began = time.process_time()
    fitted = fusion.train(settings, prepared, seed, lambda epoch, scores: True, None)
    print(f"# a training of {time.process_time() - began:.0f} s of CPU", flush=True)
    return fitted, prepared.examples["validation"]


def shuffled(examples: Sequence[Example], name: str, seed: int) -> list[Example]:
    """The clips with the modality ``name`` of the next clip in a random order: none keeps its own, though
    another clip's may be equal to it.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    given = {order[place]: order[place - 1] for place in range(len(order))}
    return [
        replace(clip, values=clip.values | {name: examples[given[number]].values[name]})
        for number, clip in enumerate(examples)
    ]


def accuracy(fitted: Any, clips: Sequence[Example], absent: Sequence[str] = ()) -> float:
    found = fusion.outputs(fitted, clips, absent)
    return float(np.mean([clip.label == int(answer["clip"].argmax()) for clip, answer in found]))


def measured(file: Any, seed: int) -> dict[str, dict[tuple[str, ...], float]]:
    """Table -> row -> accuracy on validation: of *missing* rows are (modality, dropout, share).

    Each is printed as soon as it is known.
    """
    missing: dict[tuple[str, ...], float] = {}
    changed: dict[tuple[str, ...], float] = {}
    names, own = list(file.settings.used), file.settings.modality_dropout

    def known(table: dict[tuple[str, ...], float], row: tuple[str, ...], value: float) -> None:
        table[row] = value
        print(f"# {file.name}, seed {seed}: {' '.join(row).strip()}: {value:.3f}", flush=True)

    for dropout in [own, *(each for each in DROPOUTS if each != own)]:
        fitted, clips = trained(config.override(file.raw, {"modality_dropout": dropout}), seed)
        whole = accuracy(fitted, clips)
        for name in names:
            without = accuracy(fitted, clips, [name])
            for share in SHARES:
                value = (1 - share) * whole + share * without
                known(missing, (name, f"{dropout:g}", f"{share:g}"), value)
        if dropout == own:
            known(changed, ("the experiment's", ""), whole)
            for name in (name for name in names if file.settings.used[name].kind in SHUFFLED):
                value = accuracy(fitted, shuffled(clips, name, seed))
                known(changed, ("answers with a shuffled", name), value)
    for name in names:
        [arm] = [arm for arm, new in file.ablations.items() if list(new.get("join.leave_out", ())) == [name]]
        alone = accuracy(*trained(file.arm(arm), seed))
        missing[name, "trained without", "1"] = alone
        known(changed, ("trained without", name), alone)
    for name in (name for name in names if file.settings.used[name].kind == "text"):
        value = accuracy(*trained(file.raw, seed, name))
        known(changed, ("trained and answers with a shuffled", name), value)
    return {"missing": missing, "shuffled": changed}


def report(file: Any, tables: Sequence[Mapping[str, Mapping[tuple[str, ...], float]]]) -> None:
    """Means over seeds, with the least and the greatest where there are several."""

    def shown(table: str, row: tuple[str, ...]) -> str:
        values = [one[table][row] for one in tables]
        spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
        return f"{np.mean(values):.3f}{spread}"

    print(f"\n{file.name}: accuracy on validation where a share of the clips lacks a modality\n")
    columns = [f"{share:.0%}" for share in SHARES]
    print(f"| taken away | modality_dropout | {' | '.join(columns)} | trained without |")
    print("|" + "---|" * (len(columns) + 3))
    for name, dropout in sorted({row[:2] for row in tables[0]["missing"]}):
        if dropout == "trained without":
            continue
        cells = [shown("missing", (name, dropout, f"{share:g}")) for share in SHARES]
        cells.append(shown("missing", (name, "trained without", "1")))
        print(f"| {name} | {dropout} | {' | '.join(cells)} |")
    print(f"\n{file.name}: what a text or a score contributes\n")
    print("| network | accuracy on validation |\n|---|---|")
    for row in tables[0]["shuffled"]:
        print(f"| {' '.join(row).strip()} | {shown('shuffled', row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)  # as trainings of the harness
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for name in given.experiments:
        file = config.load_experiment(name)
        report(file, [measured(file, seed) for seed in given.seeds])


if __name__ == "__main__":
    main()
