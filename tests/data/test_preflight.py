"""What the data tell before training: every seed's faults, said once."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import preflight
from audiomtl.errors import UserError

PROJECT = Path(__file__).parents[2]
SPLIT = {"kind": "split", "column": "", "test_share": 0.2, "validation_share": 0.2, "stratified": True}
FOLDS = {"kind": "folds", "column": "fold"}


def settings_of(name: str, data: dict[str, Any], protocol: dict[str, Any], **changes: Any) -> Any:
    """Of a shipped experiment, with other data."""
    raw = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml")).raw
    data = {"dataset": "manifest", "table": "x.csv", "on_bad": "error", **data}
    return config.settings_of(
        config.override({**raw, "data": data, "protocol": {"leaky": False, **protocol}}, changes), name
    )


def baseline(protocol: dict[str, Any] = SPLIT, **data: Any) -> Any:
    return settings_of("baseline_esc10", {"label": "label", "groups": ["speaker"], **data}, protocol)


def clips(count: int = 120, **columns: Any) -> pd.DataFrame:
    numbers = np.arange(count)
    table = {
        "clip_id": [f"clip_{number:03}" for number in numbers],
        "path": [f"/nowhere/{number:03}.wav" for number in numbers],
        "seconds": 0.5,
        "label": [f"class {number % 3}" for number in numbers],
        "speaker": [f"speaker {number // 3 % 8}" for number in numbers],
        "fold": numbers // 3 % 4,
        **columns,
    }
    return pd.DataFrame(table)


def phones(count: int, *kinds: str) -> list[list[str]]:
    return [list(kinds)] * count


def ctc(**changes: Any) -> Any:
    return settings_of(
        "ctc_german", {"groups": ["speaker"]}, {"kind": "leave_one_out"}, **{"seeds": [1, 2], **changes}
    )


@pytest.mark.parametrize(
    ("settings", "table", "faults"),
    [
        (baseline(), clips(), []),
        (baseline(FOLDS), clips(), []),
        (baseline(), clips(0), ['data.dataset = "manifest": has no clip; add recordings']),
        (baseline(), clips(label="one"), ["every clip has the same class (one); at least two are needed"]),
        (baseline(label="lable"), clips(), ['data.label = "lable": the clip table has no such column; did you']),
        (baseline(groups=["singer"]), clips(), ['data.groups = "singer": the clip table has no such column']),
        (baseline(), clips(speaker="one"), ["split: 1 groups by ['speaker'] are too few for three splits"]),
        (
            baseline({**SPLIT, "kind": "folds", "folds": 9}),
            clips(),
            ["protocol.folds = 9: must be at most 8, the number of groups"],
        ),
        (baseline({"kind": "folds", "column": "flod"}), clips(), ['protocol.column = "flod": the clip table has']),
        # class 2 is in fold 0 alone: seed 3 (and study_seed 8, fold 0) test on it, seed 4 does, the others train on it
        (
            baseline(FOLDS),
            clips(label=np.where(np.arange(120) // 3 % 4 == 0, "rare", np.where(np.arange(120) % 2, "a", "b"))),
            ["seeds 8, 4: split: label rare of test", "seed 3: split: label rare of validation"],
        ),
        (ctc(), clips(), ["the clip table has no column phones, which ctc"]),
        (ctc(), clips(phones=phones(120, "a", "b")), []),
        (
            ctc(),
            clips(phones=[["a", "rare"] if number // 3 % 8 == 1 else ["a"] for number in range(120)]),
            ['seed 0: split: phones absent from train: "rare" of validation', 'seed 1: split: phones absent'],
        ),
        (ctc(), clips(phones=[*phones(119, "a", "b"), []]), ["1 of 120 clips have no transcript: clip_119"]),
        (ctc(), clips(phones=phones(120, *"ab" * 40)), ["120 clips have more phones (and repeats) than network"]),
        (
            settings_of(
                "mil_esc10",
                {"label": "label", "groups": []},
                SPLIT,
                **{"network.window": "statistics", "windows.tail": "drop", "windows.seconds": 0.6},
            ),
            clips(),
            ['windows.tail = "drop": 120 clips have no window of 0.6 s'],
        ),
        (
            settings_of("fusion_singing", {"label": "label", "groups": []}, SPLIT),
            clips(given_notes="x"),
            ['modalities.score: clip_000: "x": must be a list of (onset seconds'],
        ),
        (
            settings_of("multitask_emodb", {"label": "label", "groups": []}, SPLIT, **{"scores": {"loss": "minimize"}}),
            clips(),
            ["heads.phones: kind phones needs a column phones"],
        ),
        (
            settings_of("baseline_esc10", {"label": "label", "groups": []}, SPLIT, **{"features.n_fft": 2048, "features.bands": 600}),
            clips(),
            ["features.bands = 600: "],
        ),
    ],
)  # fmt: skip
def test_faults_of_all_seeds_are_found_at_once(settings, table, faults):
    found = preflight.look(settings, table).faults
    assert len(found) == len(faults), found
    for said, wanted in zip(found, faults, strict=True):
        assert wanted in said
    if faults:
        with pytest.raises(UserError) as error:
            preflight.refuse(settings, table, "experiments/x.toml")
        text = str(error.value)
        assert (
            text.startswith("experiments/x.toml: ")
            and "\n" not in text
            and all(part in text for part in faults)
        )
    else:
        preflight.refuse(settings, table, "experiments/x.toml")


def test_transcripts_become_phones_first():
    """As the families make them: of an alignment from transcripts nothing is missing."""
    table = clips(text=["ab", "ba", "aab"] * 40)
    letters = {"text": {"column": "text", "units": "letters"}}
    assert not preflight.look(ctc(**letters), table).faults
    heads = {"heads": {"text": {"kind": "alignment", "weight": 1.0}}, "scores": {"text_loss": "minimize"}}
    aligned = {"inputs.text": "phones", "coupling": {}, "decoding": {}, "training.monitor": "validation/loss"}
    aligned |= {"training.monitor_direction": "minimize"}
    raw = {"label": "label", "groups": []}
    with_times = table.assign(starts=None, ends=None)
    settings = settings_of("multitask_singing", raw, SPLIT, **{**letters, **aligned, **heads})
    found = preflight.look(settings, with_times).faults
    assert not any("no such column" in fault for fault in found), found


def test_arrays_of_clips_are_columns(tmp_path):
    """Rows of an .npz file: its arrays are columns that heads may learn."""
    np.savez(tmp_path / "all.npz", audio=np.zeros((120, 20, 40)), loudness=np.zeros(120))
    table = clips(path=str(tmp_path / "all.npz")).assign(array_row=np.arange(120))
    heads = {"heads": {"loud": {"kind": "value", "column": "loudness", "weight": 1.0}}}
    changes = {**heads, "scores": {"loud_loss": "minimize"}, "training.monitor": "validation/loss"}
    changes |= {"training.monitor_direction": "minimize"}
    settings = settings_of("multitask_emodb", {"label": "label", "groups": []}, SPLIT, **changes)
    assert not preflight.look(settings, table).faults


@pytest.mark.parametrize(
    ("settings", "table", "warning"),
    [
        (baseline(), clips(12), "test clip"),
        (baseline(), clips(label=["big"] * 110 + ["small"] * 10), "unequal classes: big has 110 clips, small has 10"),
        (baseline(FOLDS), clips(label=[("a", "b")[number % 2] if number // 3 % 4 else "a" for number in range(120)]),
         "no test clip of label b"),
        (settings_of("mil_esc10", {"label": "label", "groups": []}, SPLIT, **{"windows.seconds": 5.0}), clips(),
         "windows.seconds = 5: 100 % of the clips are shorter"),
    ],
)  # fmt: skip
def test_what_a_training_survives_is_a_warning(settings, table, warning):
    seen = preflight.look(settings, table)
    assert not seen.faults and any(warning in text for text in seen.warnings), seen


def test_tags_that_no_side_can_score_are_said_before_a_study(capsys):
    tags = [("a",) if number % 2 else ("a", "b") for number in range(120)]
    settings = baseline(label="label", labels="several")
    table = clips(label=[("once", *cell) if number < 3 else cell for number, cell in enumerate(tags)])
    warnings = preflight.look(settings, table).warnings
    line = "test: all clips or none have label a, once (seeds "
    assert any(warning.startswith(line) for warning in warnings)
    assert not any(warning.startswith("no test clip of label") for warning in warnings)
    preflight.refuse(settings, table, "experiments/x.toml")
    said = capsys.readouterr().out.splitlines()
    assert (
        len(said) == 2 and said[0].startswith(line) and said[0].endswith("left out of the means over classes")
    )


def test_leaky_windows_are_not_divided_by_clip():
    settings = settings_of("mil_esc10", {"label": "label", "groups": []}, SPLIT, **{"protocol.leaky": True})
    assert not preflight.look(settings, clips(speaker="one")).faults


def test_splits_that_are_known_are_not_made_again(monkeypatch):
    known: dict[str, Any] = {}
    first = preflight.look(baseline(), clips(), known)
    monkeypatch.setattr(preflight.protocols, "divide", None)
    again = preflight.look(baseline(), clips(), known)
    assert [
        one.sides is other.sides for one, other in zip(first.divisions, again.divisions, strict=True)
    ] == [True] * 5


def test_classes_are_counted_in_lists_as_well():
    assert preflight.classes_in([("a", "b"), (), ("a",)]) == {"a": 2, "b": 1}
    assert preflight.classes_in(["a", "b", "a"]) == {"a": 2, "b": 1}
