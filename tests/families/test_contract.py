"""What holds for every family (`audiomtl.families.contract`): one tiny training of each, and the same
questions to all.

A new family needs a line in `CASES`; `test_every_family_has_a_case` says so.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.data.answers import Classes, Notes, Phones, Recording, Response, Segments, Value
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.multitask import heads
from audiomtl.nn import serving
from audiomtl.nn.fit import seed_everything
from tests.small_multitask import HEAD
from tests.surroundings.families import digest, raw_settings, sounds, untrained

# a network of more outputs is compiled into a graph whose operations TensorFlow may fuse otherwise when it is
# loaded: weights are equal to the bit, answers to the last bits of a float32
MOST_EQUAL = 3
# float32 sums in another order: a batch of another shape is another matrix product
CLOSE = {
    "rtol": 1e-5,
    "atol": 1e-5,
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
    "mil tags": {
        **TAGS,
        "pooling__name": "mean",  # no weights, which a loss of windows does not train
        "pooling__evaluation": "majority_vote",
        "network__loss": "window",
    },
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
    fits: list[dict[str, Any]]  # what the family gave to the training loop

    @property
    def use(self) -> ModuleType:
        return config.family("use", self.settings.model)

    @property
    def table(self) -> pd.DataFrame:
        """The clip table of the test side."""
        return self.prepared.splits.test

    def recordings(self) -> list[Recording]:
        """The sounds of the test side, as new ones."""
        rate = self.use.sample_rate(self.settings)
        return [
            Recording(row["clip_id"], audio.load(row["path"], sample_rate=rate), row)
            for row in self.table.to_dict("records")
        ]

    @property
    def examples(self) -> list[Any]:
        return self.prepared.examples["test"]

    def outputs(self, examples: Any = None, fitted: Any = None) -> list[contract.Output]:
        return self.model.outputs(fitted or self.fitted, self.examples if examples is None else examples)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return sounds(tmp_path_factory.mktemp("contract") / "sounds")


@pytest.fixture(scope="module")
def case_of(clips) -> Callable[[str], Case]:
    folder, made = clips.parent, {}

    def of(name: str) -> Case:
        if name not in made:
            family = name.split(" ")[0]
            changes = dict(CASES[name])
            tables = {key: changes.pop(key) for key in ("heads", "coupling", "scores") if key in changes}
            raw = raw_settings(family, clips, **changes) | tables
            if "heads" in tables:  # those of the file are gone
                raw["decoding"] = {}
            # of frames, then of CTC
            raw = raw if family == "baseline" else config.override(raw, {"training.epochs": 2})
            model, settings = config.family("model", family), config.settings_of(raw, name)
            seed_everything(1)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
                prepared = model.prepare(settings, 1)
                fits = list[dict[str, Any]]()
                if hasattr(model, "fit"):
                    loop = model.fit
                    patch.setattr(
                        model,
                        "fit",
                        lambda one, **own: (fits.append({"model": one} | own), loop(one, **own))[1],
                    )
                # steps as they are written: tracing takes longer than these trainings. A recurrent layer is slower so.
                tf.config.run_functions_eagerly(family != "ctc")
                try:
                    fitted = model.train(settings, prepared, 1, lambda epoch, scores: True, None)
                finally:
                    tf.config.run_functions_eagerly(False)
            made[name] = Case(model, settings, prepared, fitted, fits)
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
    used = [name for name in vars(contract.Use) if not name.startswith("_")]
    assert len(used) == 5 and [name for name in used if not callable(getattr(case.use, name, None))] == []
    assert isinstance(case.prepared, contract.Prepared) and isinstance(case.fitted, contract.Fitted)
    assert (
        case.fitted.parameters > 0
        and case.fitted.fit is not None
        and set(case.prepared.examples) == {"train", "validation", "test"}
    )


def test_every_loss_has_its_slope_where_a_network_is_sure_and_wrong(case) -> None:
    """A logit of 30 for one class, whatever the sound: the loss of the clips of other classes grows as the
    logit does. Of every loss that the family gives to the training loop, and of every head: ``log(p + 1e-7)``
    is flat there.
    """
    assert case.fits or case.fitted.model is None or case.settings.model == "baseline"
    for given in case.fits:
        model = given["model"]
        before = [variable.numpy() for variable in model.variables]
        batch = next(iter(given["batches"](0)))
        batch = {name: tf.convert_to_tensor(value) for name, value in batch.items() if name != "clip_ids"}
        losses = dict.fromkeys(given["loss"](epoch) for epoch in range(given["training"].epochs))
        last = logits_of(getattr(model, "network", model))
        assert last and losses
        for loss in losses:
            for layer in last:
                found = []
                for logit in (30.0, 32.0):
                    for variable, old in zip(model.variables, before, strict=True):
                        variable.assign(old)
                    layer.kernel.assign(tf.zeros_like(layer.kernel))
                    layer.bias.assign(tf.one_hot(1, layer.bias.shape[0], logit))
                    found.append(loss_and_slope(loss, model, batch, layer.bias.value))
                (low, slope), (high, _) = found
                told = f"{case.settings.model}, {layer.name}"
                assert slope == pytest.approx((high - low) / 2, rel=0.02, abs=1e-3), told
                assert slope > 0.02, told
        for variable, old in zip(model.variables, before, strict=True):
            variable.assign(old)


def logits_of(network: Any) -> list[Any]:
    """The layers that give a network's logits; heads of other kinds have squared errors."""
    layers = network._flatten_layers(include_self=False, recursive=True)
    named = [one for one in layers if one.name.startswith(("classes", "head_", "logits"))]
    others = ("head_value", "head_mel", "head_alignment_steps")
    return [one for one in named if hasattr(one, "kernel") and one.name not in others]


def loss_and_slope(loss: Any, model: Any, batch: Any, bias: Any) -> tuple[float, float]:
    """The loss, and its slope along the bias of class 1."""
    with tf.GradientTape() as tape:
        found = loss(model, batch)
    return float(found), float(tf.convert_to_tensor(tape.gradient(found, bias))[1])


FITTED: dict[str, dict[str, Any]] = {
    "baseline": {},
    "ctc": {"network__objective": "ctc", "features__scaling": "per_band_train"},
    "fusion": {},
    "mil": {"features__scaling": "per_band_train"},
    "multitask": {
        "features__scaling": "standard_train",
        "heads": {"age": EVERY_HEAD["value"]},
        "coupling": {},
        "scores": {"age_loss": "minimize"},
    },
    "transfer": {"head__standardise": True, "extractor__kind": "statistics"},
    "transfer svm": {"head__kind": "svm", "extractor__kind": "statistics"},
}


@pytest.mark.parametrize("name", FITTED)
def test_other_validation_and_test_recordings_change_nothing_that_is_fitted(
    name, clips, tmp_path, monkeypatch
) -> None:
    """Scalers, vocabularies and what a network starts from are equal to the bit; no epoch is trained.

    The other recordings are louder, with a tone of their own; the other labels, tokens, pictures and numbers
    are not among those of the train side.
    """
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    family, changes = name.split(" ")[0], dict(FITTED[name])
    given = {key: changes.pop(key) for key in ("heads", "coupling", "scores") if key in changes}
    raw = raw_settings(family, clips, **changes) | given | ({"decoding": {}} if "heads" in given else {})
    model, settings = config.family("model", family), config.settings_of(raw, name)
    table, saved = catalog.clips(settings.data), []
    for number in range(2):
        monkeypatch.setattr(catalog, "clips", lambda data, table=table: table.copy())
        seed_everything(1)
        prepared = model.prepare(settings, 1)
        model.save(untrained(model, settings, prepared), tmp_path / str(number))
        saved.append((digest(tmp_path / str(number)), (tmp_path / str(number) / "use.json").read_bytes()))
        train = set(prepared.splits.train["clip_id"])
        rows = [row if row["clip_id"] in train else other(row, tmp_path) for row in table.to_dict("records")]
        table = pd.DataFrame(rows, index=table.index)
    assert saved[0] == saved[1]


def other(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A clip of the same length and label with nothing else of its own."""
    y, path = audio.load(row["path"], sample_rate=16000), folder / f"{row['clip_id']}.wav"
    audio.save(path, 0.5 * y + 0.4 * np.sin(0.9 * np.arange(len(y))), sample_rate=16000)
    changed = {"path": str(path), "words": ["shout", "it"], "age": 90.0, "tags": ["late", "unheard"]}
    return row | {column: value for column, value in changed.items() if column in row}


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
    if many == "all":  # drawing takes seconds
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


# ---------------------------------------------------------------- new recordings


PRODUCES = {Classes: "classes", Segments: "segments", Phones: "phones", Notes: "notes", Value: "values"}


def numbers(response: Response) -> dict[str, np.ndarray]:
    """All numbers of a response, and the labels of its spans, by answer."""
    found: dict[str, Any] = {"seconds": np.array(response.seconds)}
    for name, answer in response.answers.items():
        match answer:
            case Classes():
                found[name] = answer.probabilities
            case Segments():
                found[name], found[f"{name} starts"] = answer.scores, answer.starts
            case Phones():
                found[name] = np.array([span.start_seconds for span in answer.spans])
            case Notes():
                found[name] = np.array(answer.notes).reshape(-1, 3)
            case Value():
                found[name] = np.array(answer.value)
    return found


def same(first: Response, second: Response) -> None:
    assert (first.name, first.remarks) == (second.name, second.remarks)
    before, after = numbers(first), numbers(second)
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, **CLOSE, equal_nan=True, err_msg=name)


def test_a_recording_is_answered_as_the_clip_is_predicted(case) -> None:
    """Whatever else is asked in the same call, and in whatever order."""
    given = case.recordings()
    responses = case.use.respond(case.fitted, given)
    assert [one.name for one in responses] == [one.name for one in given]
    for one, response in zip(given[::-1], case.use.respond(case.fitted, given[::-1]), strict=True):
        same(response, next(other for other in responses if other.name == one.name))
    for one, response in zip(given, responses, strict=True):
        [alone] = case.use.respond(case.fitted, [one])
        same(alone, response)
    for response in responses:
        kinds = {name: PRODUCES[type(answer)] for name, answer in response.answers.items()}
        assert kinds == case.use.gives(case.settings)
        assert set(kinds.values()) == set(case.model.produces(case.settings))

    made = tables(case, case.outputs())
    for response in responses:
        clip = made["predictions"].set_index("clip_id").loc[response.name]
        for name, answer in response.answers.items():
            head = f"{name}_" if name in getattr(case.settings, "heads", {}) else ""
            check(
                answer,
                head,
                clip,
                {table: rows[rows["clip_id"] == clip.name] for table, rows in made.items()},
            )


def check(answer: Any, head: str, clip: pd.Series, made: dict[str, pd.DataFrame]) -> None:
    """An answer against the tables of predictions of its clip."""
    if isinstance(answer, Classes):
        said = [clip[f"{head}probability_{name}"] for name in answer.names]
        np.testing.assert_allclose(answer.probabilities, said, **CLOSE)
    elif isinstance(answer, Value):
        np.testing.assert_allclose(answer.value, clip[f"{head}predicted"], **CLOSE)
    elif isinstance(answer, Segments):
        rows = made["steps"] if head else made["windows" if "windows" in made else "patches"]
        before = head or "probability_"
        np.testing.assert_allclose(answer.scores, rows[[f"{before}{name}" for name in answer.names]], **CLOSE)
        np.testing.assert_allclose(answer.starts, np.maximum(rows["start_seconds"], 0), atol=1e-6)
    elif "events" in made:
        events = made["events"]
        rows = events[(events["head"] == head[:-1]) & (events["label"] != "_")]
        spans = (
            [(one.label, one.start_seconds) for one in answer.spans]
            if isinstance(answer, Phones)
            else [(str(pitch), start) for start, _, pitch in answer.notes]
        )
        assert sorted(label for label, _ in spans) == sorted(rows["label"])
        np.testing.assert_allclose(
            sorted(start for _, start in spans), sorted(np.maximum(rows["start_seconds"], 0)), atol=1e-6
        )
    else:
        spoken = [
            (label, start)
            for label, start in zip(clip["predicted"], clip["predicted_starts"], strict=True)
            if label != "_"
        ]
        assert [one.label for one in answer.spans] == [label for label, _ in spoken]
        np.testing.assert_allclose([one.start_seconds for one in answer.spans], [at for _, at in spoken])


def test_clips_of_a_table_are_scored_as_those_of_the_test_side(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    examples = case.use.examples(case.fitted, case.table)
    assert [one.clip_id for one in examples] == [one.clip_id for one in case.examples]
    expected = case.model.evaluate(case.fitted, case.outputs())
    scores = case.model.evaluate(case.fitted, case.outputs(examples))
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-5), name


def test_labels_that_a_model_does_not_know_are_left_out_or_refused(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    column = "phones" if case.settings.model == "ctc" else case.settings.data.label
    table = case.table.copy()
    strange: list[Any] = [{"tags": ("zzz",)}.get(column, "zzz")] * len(table)
    if column == "phones":  # as many as there are times
        strange = [["zzz"] * len(phones) for phones in table[column]]
    table[column] = pd.Series([strange[0], *table[column][1:]], index=table.index, dtype=object)
    examples = case.use.examples(case.fitted, table)
    assert [one.clip_id for one in examples] == [one.clip_id for one in case.examples][1:]
    table[column] = pd.Series(strange, index=table.index, dtype=object)
    with pytest.raises(UserError, match="know") as error:
        case.use.examples(case.fitted, table)
    assert "\n" not in str(error.value)
    with pytest.raises(
        UserError, match=f"no (such )?column.*{column}|{column}.*no (such )?column|needs a column {column}"
    ):
        case.use.examples(case.fitted, case.table.drop(columns=[column]))


@pytest.mark.parametrize("samples", [1, 16, 400])
def test_a_recording_of_a_moment_is_answered_or_refused_with_a_line(case, samples) -> None:
    given = replace(case.recordings()[0], y=np.full(samples, 0.1, np.float32))
    try:
        [response] = case.use.respond(case.fitted, [given])
    except UserError as error:
        assert given.name in str(error) and "\n" not in str(error)
        return
    assert response.seconds == samples / case.use.sample_rate(case.settings)
    for array in numbers(response).values():
        assert np.isfinite(array).all()
    for answer in response.answers.values():
        for span in getattr(answer, "spans", ()):
            assert 0 <= span.start_seconds < span.end_seconds <= response.seconds


def test_a_recording_without_samples_is_refused(case) -> None:
    with pytest.raises(UserError, match=r"nothing|no samples|none of the modalities"):
        case.use.respond(case.fitted, [Recording("nothing", np.zeros(0, np.float32), {})])


def refused(call: Any) -> bytes:
    raise UserError("not here")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", ["ctc", "mil", "multitask tags"])
def test_exported_files_say_what_the_model_in_memory_says(name, case_of, tmp_path, monkeypatch) -> None:
    """`write` reads its files again and refuses what differs; here the file alone is asked, without the family."""
    monkeypatch.setattr(serving, "CHECKED_SECONDS", (0.4, 1.3))
    with_tflite = name == "mil"
    if not with_tflite:  # a conversion takes long
        monkeypatch.setattr(serving, "tflite", refused)
    case = case_of(name)
    written = config.family("export", case.settings.model).write(case.fitted, tmp_path)
    assert written.files == ("saved_model", "model.tflite")[: 1 + with_tflite] and written.interface
    assert written.reason == ("" if with_tflite else "no TFLite file: not here")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    described = loaded.signatures["describe"]()
    assert int(described["sample_rate"]) == case.use.sample_rate(case.settings)
    assert json.loads(described["profile"].numpy())["bands"] == case.settings.features.bands
    names = [values for key, values in described.items() if key not in ("sample_rate", "profile")]
    assert all(value.dtype == tf.string and len(value) for value in names) and names
    one = case.recordings()[0]
    found = loaded.signatures["serving_default"](waveform=tf.constant(one.y))
    if name == "mil":
        [response] = case.use.respond(case.fitted, [one])
        np.testing.assert_allclose(found["classes"], response.answers["classes"].probabilities, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="is needed: resample"):
        loaded.signatures["checked"](waveform=tf.constant(one.y), sample_rate=tf.constant(8000))
    with pytest.raises(tf.errors.InvalidArgumentError, match="divide 16-bit integers"):
        loaded.signatures["serving_default"](waveform=tf.constant(32768 * one.y))
    with pytest.raises(UserError, match="differ by"):  # of a model that is not that of the file
        answers = {key: value.numpy() + 0.01 for key, value in found.items()}
        wrong = serving.Waveform(lambda waveform, **_: found, case.fitted.model, 16000, {"a": ["b"]}, {})
        serving.exported(wrong, tmp_path / "wrong", lambda y: answers, "")
