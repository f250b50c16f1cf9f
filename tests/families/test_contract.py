"""What holds for every family (`audiomtl.families.contract`): one tiny training of each, and the same
questions to all.

A new family needs a line in `CASES`; `test_every_family_has_a_case` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.families import contract
from audiomtl.families.multitask import heads
from audiomtl.nn.fit import seed_everything
from tests.small_multitask import HEAD
from tests.surroundings.families import digest, raw_settings, sounds

# a network of more outputs is compiled into a graph whose operations TensorFlow may fuse otherwise when it is
# loaded: weights are equal to the bit, answers to the last bits of a float32
MOST_EQUAL = 3
# float32 sums in another order: a batch of another shape is another matrix product
CLOSE = {
    "rtol": 1e-5,
    "atol": 1e-6,
}
COLUMNS = {"alignment": "phones", "value": "age", "mel": "path", "tags": "tags"}
TAGS = {"data__label": "tags", "data__labels": "several"}
EVERY_HEAD = {
    kind: {**HEAD, "kind": kind, "column": COLUMNS.get(kind, ""), "train_only": False}
    for kind in heads.kinds()
}
CASES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "baseline tags": {**TAGS, "classifier__name": "svm", "classifier__kernel": "rbf"},
    "ctc": {"network__objective": "ctc"},
    "ctc frames": {"network__objective": "frames"},
    "fusion": {},
    "fusion aligned": {"join__kind": "aligned", "join__by": "sound"},
    "mil": {"pooling__name": "attention"},
    "mil votes": {"pooling__evaluation": "majority_vote"},
    "multitask": {
        "heads": EVERY_HEAD,
        "coupling": {},
        "scores": {"loss": "minimize"},
        "inputs__text": "phones",
        "inputs__allow_leak": True,
    },
    "mil tags": {**TAGS, "pooling__evaluation": "majority_vote", "network__loss": "window"},
    "multitask tags": {
        **TAGS,
        "heads": {"labels": EVERY_HEAD["tags"] | {"column": ""}},
        "coupling": {},
        "scores": {"labels_mean_average_precision": "maximize"},
    },
    "transfer": {},
    "transfer svm": {"head__kind": "svm"},
    "transfer tags": {**TAGS, "pooling__of": "embeddings"},
}


@dataclass(frozen=True)
class Case:
    model: ModuleType
    settings: Any
    prepared: contract.Prepared
    fitted: contract.Fitted

    @property
    def examples(self) -> list[Any]:
        return self.prepared.examples["test"]

    def outputs(self, examples: Any = None, fitted: Any = None) -> list[contract.Output]:
        return self.model.outputs(fitted or self.fitted, self.examples if examples is None else examples)


@pytest.fixture(scope="module")
def case_of(tmp_path_factory) -> Callable[[str], Case]:
    folder, made = tmp_path_factory.mktemp("contract"), {}
    clips = sounds(folder / "sounds")

    def of(name: str) -> Case:
        if name not in made:
            family = name.split(" ")[0]
            changes = dict(CASES[name])
            tables = {key: changes.pop(key) for key in ("heads", "coupling", "scores") if key in changes}
            raw = raw_settings(family, clips, **changes) | tables
            # of frames, then of CTC
            raw = raw if family == "baseline" else config.override(raw, {"training.epochs": 2})
            model, settings = config.family("model", family), config.settings_of(raw, name)
            seed_everything(1)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
                prepared = model.prepare(settings, 1)
            made[name] = Case(
                model,
                settings,
                prepared,
                model.train(settings, prepared, 1, lambda epoch, scores: True, None),
            )
        return made[name]

    return of


@pytest.fixture(params=CASES)
def case(request, case_of) -> Case:
    return case_of(request.param)


def arrays(answer: Any) -> dict[str, np.ndarray]:
    return dict(answer) if isinstance(answer, dict) else {"": answer}


def tables(case: Case, found: Any) -> dict[str, pd.DataFrame]:
    made = case.model.predict(case.fitted, found)
    return made if isinstance(made, dict) else {"predictions": made}


def test_every_family_has_a_case() -> None:
    assert {name.split(" ")[0] for name in CASES} == set(config.families())


def test_a_family_offers_the_functions_of_the_contract(case) -> None:
    wanted = [name for name in vars(contract.Family) if not name.startswith("_")]
    assert (
        len(wanted) == 9 and [name for name in wanted if not callable(getattr(case.model, name, None))] == []
    )
    assert isinstance(case.prepared, contract.Prepared) and isinstance(case.fitted, contract.Fitted)
    assert (
        case.fitted.parameters > 0
        and case.fitted.fit is not None
        and set(case.prepared.examples) == {"train", "validation", "test"}
    )


def test_what_is_loaded_is_what_was_saved_to_the_bit(case, tmp_path) -> None:
    case.model.save(case.fitted, tmp_path / "model")
    again = case.model.load(tmp_path / "model")
    assert again.settings == case.fitted.settings and again.fit is None
    known = dict(zip((one.clip_id for one, _ in case.outputs()), case.outputs(), strict=True))
    for one, answer in case.outputs(fitted=again):
        before = arrays(known[one.clip_id][1])
        assert arrays(answer), "a loaded model answers"
        for name, array in arrays(answer).items():
            if len(before) > MOST_EQUAL:
                np.testing.assert_allclose(array, before[name], **CLOSE)
            else:
                np.testing.assert_array_equal(array, before[name])
    case.model.save(again, tmp_path / "twice")
    assert digest(tmp_path / "twice") == digest(tmp_path / "model")
    assert (tmp_path / "twice" / "use.json").read_bytes() == (tmp_path / "model" / "use.json").read_bytes()


def test_neighbours_and_padding_change_no_answer(case) -> None:
    """A clip alone, without padding, and in a batch of clips that are longer."""
    together = {one.clip_id: answer for one, answer in case.outputs()}
    assert len({len(getattr(one, "frames", range(1))) for one in case.examples}) > 1 or not hasattr(
        case.examples[0], "frames"
    )
    for one in case.examples:
        [(_, alone)] = case.outputs([one])
        for name, array in arrays(alone).items():
            np.testing.assert_allclose(
                array, arrays(together[one.clip_id])[name], **CLOSE, err_msg=f"{one.clip_id} {name}"
            )


def test_each_clip_is_in_the_tables_once_and_sorted(case) -> None:
    found = case.outputs()
    assert sorted(one.clip_id for one, _ in found) == sorted(one.clip_id for one in case.examples)
    made = tables(case, found)
    assert made["predictions"]["clip_id"].tolist() == sorted(one.clip_id for one in case.examples)
    assert all(table["clip_id"].is_monotonic_increasing for table in made.values())
    assert all(set(table["clip_id"]) <= set(made["predictions"]["clip_id"]) for table in made.values())
    for name, table in tables(case, case.outputs(case.examples[::-1])[::-1]).items():
        pd.testing.assert_frame_equal(table, made[name])


GIVES: dict[str, Callable[[dict[str, pd.DataFrame]], bool]] = {
    "classes": lambda made: any(
        made["predictions"].filter(regex=r"predicted$").dtypes.map(str).isin(["object", "str"])
    ),
    "segments": lambda made: any(
        "start_seconds" in made[name] and "label" not in made[name] for name in {*made} - {"predictions"}
    ),
    "phones": lambda made: (
        "predicted_starts" in made["predictions"] or bool(set(labels(made)) & {"a", "b", "c"})
    ),
    "notes": lambda made: "events" in made,  # a network that has learned nothing may find no note
    "values": lambda made: any(made["predictions"].filter(regex=r"predicted$").dtypes.map(str) == "float64"),
}


def labels(made: dict[str, pd.DataFrame]) -> list[str]:
    return made["events"]["label"].tolist() if "events" in made else []


def test_a_family_says_what_it_produces(case) -> None:
    found, made = case.model.produces(case.settings), tables(case, case.outputs())
    assert found and set(found) <= set(GIVES) and len(set(found)) == len(found)
    for what in GIVES:
        if what in found:
            assert GIVES[what](made), what
        elif what != "classes":  # phones are predicted, too
            assert what == "notes" or not GIVES[what](made), f"{what} is given, but not said"


def without_labels(one: Any) -> Any:
    """The clip without what a clip may lack."""
    fields = {"passages": None, "frame_labels": np.zeros(0, np.int32)}
    changes = {name: value for name, value in fields.items() if hasattr(one, name)}
    if hasattr(one, "targets"):
        row = {
            name: value if name in ("clip_id", "path", "kind") else None for name, value in one.row.items()
        }
        changes |= {"targets": dict.fromkeys(one.targets), "row": row}
        changes |= {"text": one.text[:1]} if one.text is not None else {}
    if hasattr(one, "values"):
        changes["values"] = {name: value if name == "picture" else None for name, value in one.values.items()}
    return replace(one, **changes)


@pytest.mark.parametrize("many", ["one", "all"])
def test_absent_labels_do_no_harm(case, many, tmp_path) -> None:
    """Nothing is known of one clip, or of any: what is left is scored, and every clip has its answer."""
    if case.model.__name__.endswith("ctc.model") and case.settings.network.objective == "frames":
        pytest.skip("a network that learns phone times needs them")
    examples = [
        without_labels(one) if many == "all" or number == 0 else one
        for number, one in enumerate(case.examples)
    ]
    found = case.outputs(examples)
    scores = case.model.evaluate(case.fitted, found)
    assert scores and all(np.isfinite(value) for value in scores.values())
    assert len(tables(case, found)["predictions"]) == len(examples)
    case.model.pictures(case.fitted, found, tmp_path)
    assert list(Path(tmp_path).glob("*.png"))


def test_pictures_stay_in_their_folder_whatever_clips_are_called(case, tmp_path) -> None:
    """A clip's id is other people's text: it names no path, and a dollar sign in it begins no formula."""
    folder = tmp_path / "deep" / "down" / "run"
    folder.mkdir(parents=True)
    examples = [replace(one, clip_id=f"/../../{one.clip_id} $$ \n") for one in case.examples]
    case.model.pictures(case.fitted, case.outputs(examples), folder)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and {path.parent for path in files} == {folder}
