"""Several inputs, one label, on clips whose class needs two of them: a tone (high or low) and a word that
says which way to read it.
"""

from pathlib import Path

import keras
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import UserError
from audiomtl.families.fusion import model as fusion
from audiomtl.nn.fit import seed_everything
from audiomtl.nn.yamnet_store import EmbeddingStore
from tests.nn import yamnet_weights
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[3]
RATE = 8000


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """60 clips in five folds.

    The class is 'same' where tone and word agree; a score, a picture and numbers tell the tone as well.
    """
    folder, rows = tmp_path_factory.mktemp("clips"), []
    for number in range(60):
        random = np.random.default_rng(number)
        high, agree = number % 2, (number // 2) % 2
        seconds = random.uniform(0.3, 0.5)
        y = 0.3 * np.sin(
            2 * np.pi * (2000 if high else 500) * np.arange(int(seconds * RATE)) / RATE
        ) + 0.01 * random.standard_normal(int(seconds * RATE))
        audio.save(folder / f"{number:02}.wav", y, sample_rate=RATE)
        pixels = np.full((8, 8, 3), 0.5) + 0.05 * random.standard_normal((8, 8, 3))
        pixels[: 4 if high else 8, : 8 if high else 4] = 0.9
        matplotlib.image.imsave(folder / f"{number:02}.png", (np.clip(pixels, 0, 1) * 255).astype(np.uint8))
        row = {
            "clip_id": f"clip_{number:02}",
            "path": str(folder / f"{number:02}.wav"),
            "picture": str(folder / f"{number:02}.png"),
        }
        row |= {
            "words": ["say", ("low", "high")[high == agree], f"word{number % 7}"],
            "notes": [(0.0, seconds, 80.0 if high else 50.0)],
        }
        row |= {
            "numbers": [float(high), 3.0],
            "verdict": ("other", "same")[agree],
            "source": f"s{number:02}",
            "fold": number // 12 + 1,
        }
        rows.append(row)
    return pd.DataFrame(rows)


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "fusion_cache"))

    def as_clips(other: pd.DataFrame) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: other)

    as_clips(table)
    return as_clips


def raw_settings(modalities: dict[str, str], **changes) -> dict:
    """The settings of fusion_pictures, made small, with these modalities (kind -> column).

    Keyword ``a__b`` is the setting path a.b.
    """
    raw = whole_settings("fusion_pictures")
    one = raw["modalities"]["picture"] | {
        "filters": [6],
        "size": 8,
        "pool": 2,
        "kernel": 3,
        "pooling": "mean",
        "coordinates": True,
    }
    raw["modalities"] = {
        kind: one | {"kind": kind, "column": column, "encoder": "lstm"} for kind, column in modalities.items()
    }
    small = {
        "features.sample_rate": RATE,
        "features.bands": 16,
        "features.n_fft": 256,
        "features.high_hz": 4000.0,
    }
    small |= {
        "data.label": "verdict",
        "training.epochs": 2,
        "training.batch_size": 12,
        "optimizer.learning_rate": 0.01,
    }
    small |= {
        "training.monitor": "validation/loss",
        "training.monitor_direction": "minimize",
        "optimizer.schedule": "constant",
    }
    small |= {
        "join.kind": "concatenation",
        "join.size": 8,
        "join.heads": 2,
        "join.by": next(iter(modalities)),
        "join.hidden": [8],
    }
    small |= {"join.dropout": 0.0, "join.leave_out": [], "modality_dropout": 0.0}
    return config.override(raw, small | {path.replace("__", "."): value for path, value in changes.items()})


TWO = {"audio": "path", "text": "words"}
ALL = {"audio": "path", "image": "picture", "score": "notes", "table": "numbers", "text": "words"}


def settings(modalities: dict[str, str] | None = None, **changes):
    return config.settings_of(raw_settings(modalities or TWO, **changes), "test")


def trained(settings, seed: int = 1, on_epoch=lambda epoch, scores: True):
    seed_everything(seed)
    prepared = fusion.prepare(settings, seed)
    return fusion.train(settings, prepared, seed, on_epoch, None), prepared


def output(model, prepared, some, examples, **options) -> np.ndarray:
    batch = fusion._collate(examples, some, prepared.known, **options)
    return model({name: value for name, value in batch.items() if name not in ("labels", "clip_ids")})[
        "clip"
    ].numpy()


# ---------------------------------------------------------------- learning


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["cross_attention", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("film", "bilinear"))],
)
def test_two_modalities_tell_what_neither_tells_alone(use, kind, tmp_path) -> None:
    fitted, prepared = trained(settings(join__kind=kind, training__epochs=30))
    scores = fusion.evaluate(fitted, fusion.outputs(fitted, prepared.examples["test"]))
    assert scores["accuracy"] == scores["accuracy_from_audio_and_text"] >= 0.9
    assert {name for name in scores if "_from_" in name} == {
        f"accuracy_from_{name}" for name in ("audio", "text", "audio_and_text")
    }
    assert max(scores["accuracy_from_audio"], scores["accuracy_from_text"]) <= 0.75
    fusion.save(fitted, tmp_path)
    again = fusion.load(tmp_path)
    assert again.settings == fitted.settings and again.known.vocabularies == fitted.known.vocabularies
    pd.testing.assert_frame_equal(
        fusion.predict(fitted, fusion.outputs(fitted, prepared.examples["test"])),
        fusion.predict(again, fusion.outputs(again, prepared.examples["test"])),
    )
    assert fusion.evaluate(again, fusion.outputs(again, prepared.examples["test"])) == scores


@pytest.mark.slow
def test_all_five_kinds_train_together_and_reload(use, tmp_path) -> None:
    fitted, prepared = trained(settings(ALL, join__kind="aligned", modality_dropout=0.3))
    scores = fusion.evaluate(fitted, fusion.outputs(fitted, prepared.examples["validation"]))
    assert sum("_from_" in name for name in scores) == 2**5 - 1 and np.isfinite(list(scores.values())).all()
    fusion.save(fitted, tmp_path)
    expected = fusion.predict(fitted, fusion.outputs(fitted, prepared.examples["test"]))
    pd.testing.assert_frame_equal(
        fusion.predict(
            fusion.load(tmp_path), fusion.outputs(fusion.load(tmp_path), prepared.examples["test"])
        ),
        expected,
    )


@pytest.mark.parametrize(
    "kind",
    [
        "average",
        "weighted",
        "concatenation",
        "gated",
        "bilinear",
        "late",
        "film",
        "cross_attention",
        "aligned",
    ],
)
def test_an_absent_modality_is_not_heard_by_the_whole_network(use, table, kind) -> None:
    some = settings(ALL, join__kind=kind)
    prepared = fusion.prepare(some, 1)
    seed_everything(1)
    model, examples = fusion.network(some, prepared.known), prepared.examples["train"][:4]
    others = [
        fusion.Example(one.clip_id, one.label, examples[-1].values | {"text": one.values["text"]})
        for one in examples
    ]
    absent = ["audio", "image", "score", "table"]
    first, second = (output(model, prepared, some, chosen, absent=absent) for chosen in (examples, others))
    assert np.allclose(first, second, atol=1e-6) and not np.allclose(
        first, output(model, prepared, some, examples), atol=1e-6
    )
    without = [fusion.Example(one.clip_id, one.label, one.values | dict.fromkeys(absent)) for one in examples]
    assert np.allclose(first, output(model, prepared, some, without), atol=1e-6)
    assert np.allclose(first.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["concatenation", "film", "cross_attention", "aligned"])
def test_a_clip_is_the_same_in_any_company(use, kind) -> None:
    some = settings(ALL, join__kind=kind)
    prepared = fusion.prepare(some, 1)
    seed_everything(1)
    model, examples = fusion.network(some, prepared.known), prepared.examples["train"][:6]
    alone = np.concatenate([output(model, prepared, some, [one]) for one in examples])
    assert np.allclose(alone, output(model, prepared, some, examples), atol=1e-5)


def test_what_is_left_out_is_not_there(use, table) -> None:
    use(table.drop(columns="words"))
    prepared = fusion.prepare(settings(join__leave_out=["text"]), 1)
    assert list(prepared.examples["train"][0].values) == ["audio"] and not prepared.known.vocabularies
    for kind in ("film", "aligned", "cross_attention"):  # also where the one that is left out would have led
        some = settings(join__leave_out=["text"], join__kind=kind, join__by="text")
        assert output(
            fusion.network(some, prepared.known), prepared, some, prepared.examples["train"][:2]
        ).shape == (2, 2)


# ---------------------------------------------------------------- reading


def test_vocabulary_is_of_train_and_sorted_and_unknown_has_its_own_index(use, table) -> None:
    changed = table.copy()
    test = changed.index[changed["fold"] == 2]  # seed 1 tests on the second of five folds
    changed.at[test[0], "words"] = ["say", "unheard", "high"]
    use(changed)
    prepared = fusion.prepare(settings(), 1)
    known = prepared.known.vocabularies["text"]
    assert known == tuple(sorted(known)) and "unheard" not in known and {"say", "low", "high"} <= set(known)
    one = next(one for one in prepared.examples["test"] if one.clip_id == changed["clip_id"][test[0]])
    assert one.values["text"].tolist() == [known.index("say") + 2, 1, known.index("high") + 2]
    assert all((example.values["text"] > 1).all() for example in prepared.examples["train"])
    model = fusion.network(settings(), prepared.known)
    assert model.get_layer("text_embedding").input_dim == len(known) + 2


def test_a_text_is_split_at_spaces(use, table) -> None:
    listed = fusion.prepare(settings(), 1)
    use(table.assign(words=[" ".join(words) for words in table["words"]]))
    written = fusion.prepare(settings(), 1)
    for one, other in zip(listed.examples["train"], written.examples["train"], strict=True):
        assert np.array_equal(one.values["text"], other.values["text"])


def test_numbers_are_scaled_by_train(use, table) -> None:
    prepared = fusion.prepare(settings({"table": "numbers", "text": "words"}), 1)
    values = np.stack([one.values["table"] for one in prepared.examples["train"]])
    assert np.allclose(values.mean(axis=0), 0, atol=1e-6) and np.allclose(
        values.std(axis=0), [1, 0], atol=1e-6
    )


def test_a_score_has_the_frames_of_its_sound(use) -> None:
    some = settings(ALL)
    prepared = fusion.prepare(some, 1)
    one = prepared.examples["train"][0]
    batch = fusion._collate([one], some, prepared.known)
    assert (
        batch["score"].shape[1]
        == batch["audio"].shape[1]
        == batch["score_length"][0]
        == len(one.values["audio"])
    )
    alone = settings({"score": "notes"})
    batch = fusion._collate(
        [fusion.Example(one.clip_id, one.label, {"score": one.values["score"]})], alone, prepared.known
    )
    assert batch["score"].shape[1] == round(one.values["score"][0, 1] / 0.010) + 1


def test_a_clip_may_lack_a_modality(use, table) -> None:
    changed = table.copy()
    changed["words"] = [None if number % 4 == 0 else words for number, words in enumerate(changed["words"])]
    use(changed)
    prepared = fusion.prepare(settings(), 1)
    assert prepared.facts["train/with_text"] == 27 and prepared.facts["train/with_audio"] == 36
    batch = fusion._collate(prepared.examples["train"], settings(), prepared.known)
    assert batch["presence"][:, 0].all() and batch["presence"][:, 1].sum() == 27
    missing = [one for one in prepared.examples["train"] if one.values["text"] is None]
    seed_everything(1)
    model = fusion.network(settings(), prepared.known)
    fitted = fusion._fitted(model, settings(), prepared.known)
    scores = fusion.evaluate(fitted, fusion.outputs(fitted, missing))
    assert (
        "accuracy_from_text" not in scores
        and scores["accuracy_from_audio_and_text"] == scores["accuracy_from_audio"]
    )


def test_loss_and_scores_are_what_they_say(use) -> None:
    prepared = fusion.prepare(settings(), 1)
    seed_everything(1)
    model = fusion.network(settings(), prepared.known)
    fitted = fusion._fitted(model, settings(), prepared.known)
    examples = prepared.examples["validation"]
    scores, said = (
        fusion.evaluate(fitted, fusion.outputs(fitted, examples)),
        fusion.predict(fitted, fusion.outputs(fitted, list(reversed(examples)))),
    )
    assert said["clip_id"].tolist() == sorted(one.clip_id for one in examples)
    assert scores["accuracy"] == (said["truth"] == said["predicted"]).mean()
    right = [row[f"probability_{row['truth']}"] for _, row in said.iterrows()]
    assert scores["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert np.allclose(
        said["margin"], (said["probability_other"] - said["probability_same"]).abs(), atol=1e-6
    )


# ---------------------------------------------------------------- embeddings


PATCHES = {"modalities__audio__encoder": "yamnet", "modalities__audio__size": 8}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """YAMNet's weights, random."""
    return yamnet_weights.write(tmp_path_factory.mktemp("weights") / "yamnet.h5")


@pytest.fixture
def patches(weights) -> dict[str, object]:
    """Settings of a sound that is read as YAMNet's patches."""
    return PATCHES | {"modalities__audio__weights": str(weights)}


@pytest.fixture
def long(use, table, tmp_path_factory) -> pd.DataFrame:
    """The clips, of which every third has a sound of several patches."""
    folder, changed = tmp_path_factory.mktemp("long"), table.copy()
    for number in range(0, len(table), 3):
        y = np.tile(audio.load(table["path"][number], sample_rate=RATE), 3 + number % 4)
        audio.save(folder / f"{number:02}.wav", y, sample_rate=RATE)
        changed.at[number, "path"] = str(folder / f"{number:02}.wav")
    use(changed)
    return changed


def test_steps_are_patches_of_yamnet_standardized_by_train(long, patches, weights, tmp_path) -> None:
    some = settings(**patches)
    prepared = fusion.prepare(some, 1)
    train, test = prepared.examples["train"], prepared.examples["test"]
    paths = dict(zip(long["clip_id"], long["path"], strict=True))
    [expected] = EmbeddingStore(tmp_path, weights).activations([paths[test[0].clip_id]])
    np.testing.assert_array_equal(test[0].values["audio"], expected)
    assert {len(one.values["audio"]) for one in train} > {1}
    assert prepared.known.shapes["audio"] == (None, 1024) and not prepared.known.scaler.mean.size
    batch = fusion._collate(train, some, prepared.known)
    own = np.concatenate(
        [rows[:length] for rows, length in zip(batch["audio"], batch["audio_length"], strict=True)]
    )
    varies = prepared.known.scalers["audio"].deviation > 1e-3
    assert varies.mean() > 0.5
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=2e-3)
    np.testing.assert_allclose(own[:, varies].std(axis=0), 1, atol=2e-3)
    said = fusion._collate(test[:1], some, prepared.known)["audio"][0]
    scaler = prepared.known.scalers["audio"]
    wanted = (expected - scaler.mean) / scaler.deviation.clip(1e-9)
    np.testing.assert_allclose(said[:, varies], wanted[:, varies], atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("kind", ["concatenation", "film", "cross_attention", "aligned"])
def test_patches_are_joined_as_other_sequences_are(long, patches, kind) -> None:
    """A clip is the same in any company, and what is absent, or behind its end, is not heard."""
    some = settings(ALL, join__kind=kind, join__by="text", modalities__audio__pooling="attention", **patches)
    prepared = fusion.prepare(some, 1)
    seed_everything(1)
    model, examples = fusion.network(some, prepared.known), prepared.examples["train"][:6]
    assert len({len(one.values["audio"]) for one in examples}) > 1
    together = output(model, prepared, some, examples)
    alone = np.concatenate([output(model, prepared, some, [one]) for one in examples])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    silent = output(model, prepared, some, examples, absent=["audio"])
    assert not np.allclose(silent, together, atol=1e-5)
    without = [fusion.Example(one.clip_id, one.label, one.values | {"audio": None}) for one in examples]
    np.testing.assert_allclose(silent, output(model, prepared, some, without), atol=1e-6)


def test_a_score_beside_patches_has_frames_of_its_own(long, patches) -> None:
    some = settings(ALL, join__kind="aligned", join__by="audio", **patches)
    prepared = fusion.prepare(some, 1)
    one = prepared.examples["train"][1]
    batch = fusion._collate([one], some, prepared.known)
    assert batch["score"].shape[1] == round(one.values["score"][0, 1] / 0.010) + 1
    assert batch["audio"].shape == (1, len(one.values["audio"]), 1024)
    assert fusion._on_grid(some) == []


def test_patches_are_trained_on_saved_and_read_again(long, patches, weights, tmp_path) -> None:
    fitted, prepared = trained(settings(modalities__audio__pooling="max", **patches))
    assert fitted.parameters < 20_000  # YAMNet's 3.7 million are no part of the model
    fusion.save(fitted, tmp_path)
    again = fusion.load(tmp_path)
    assert again.known.weights == fitted.known.weights and list(again.known.weights) == ["audio"]
    expected = fusion.predict(fitted, fusion.outputs(fitted, prepared.examples["test"]))
    pd.testing.assert_frame_equal(
        fusion.predict(again, fusion.outputs(again, prepared.examples["test"])), expected
    )


def test_a_sound_is_embedded_once_for_each_file_of_weights(long, patches, monkeypatch, tmp_path) -> None:
    calls: list[int] = []
    computed = EmbeddingStore._computed

    def counted(store, sounds):
        calls.append(len(sounds))
        yield from computed(store, sounds)

    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    monkeypatch.setattr(EmbeddingStore, "_computed", counted)
    for pooling in ("mean", "max"):
        fusion.prepare(settings(modalities__audio__pooling=pooling, **patches), 1)
    assert calls == [len(long)]
    other = yamnet_weights.write(tmp_path / "other.h5", seed=5)
    fusion.prepare(settings(**(patches | {"modalities__audio__weights": str(other)})), 1)
    assert calls == [len(long)] * 2


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"modalities__text__encoder": "yamnet"},
            r'modalities\.text\.encoder = "yamnet" reads sound, but .* of kind text; set encoder = "lstm"',
        ),
        (
            {"modalities__score__encoder": "yamnet"},
            r'modalities\.score\.encoder = "yamnet" reads sound, but .* of kind score; set encoder = "keys"',
        ),
        (
            {"augmentation": {"gain": {"probability": 1.0, "decibels": 3.0}}},
            r'augmentation\.gain .* modalities\.audio\.encoder = "yamnet" .* only mixup and label_smoothing',
        ),
        (
            {"join__kind": "likelihood", "join__by": "audio", "join__evidence_weight": 1.0},
            r'modalities\.audio\.encoder = "yamnet": join\.kind = "likelihood" .* set encoder = "keys"',
        ),
    ],
)
def test_settings_of_patches_that_make_no_sense_are_refused(changes, message) -> None:
    with pytest.raises(UserError, match=message) as error:
        settings({"audio": "path", "score": "notes", "text": "words"}, **(PATCHES | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "needed"),
    [("size", True), ("weights", True), ("filters", False), ("kernel", False), ("pool", False)],
)
def test_patches_have_a_size_and_no_convolutions(name, needed) -> None:
    raw = raw_settings(TWO, **PATCHES)
    del raw["modalities"]["audio"][name]
    if needed:
        with pytest.raises(UserError, match=rf"modalities\.audio\.{name}.*needed.*encoder = \"yamnet\""):
            config.settings_of(raw, "test")
    else:
        assert config.settings_of(raw, "test").modalities["audio"].embedded


def test_frames_beside_patches_need_the_rate_of_yamnet() -> None:
    frames = raw_settings(TWO)["modalities"]["audio"] | {"encoder": "embedding"}
    message = r"features\.sample_rate = 8000: modalities\.frames and modalities\.audio .* set it to 16000"
    with pytest.raises(UserError, match=message):
        settings(modalities__frames=frames, **PATCHES)
    settings(modalities__frames=frames, features__sample_rate=16000, features__n_fft=512, **PATCHES)
    settings(modalities__frames=frames, join__leave_out=["audio"], **PATCHES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"modalities__text__column": "verdict"},
            r"modalities\.text\.column = \"verdict\" is data\.label: .*leakage",
        ),
        ({"join__leave_out": ["sound"]}, r'join\.leave_out: no modality "sound"; there are audio, text'),
        ({"join__leave_out": ["audio", "text"]}, "every modality is left out"),
        (
            {"join__kind": "film", "join__by": "words"},
            r'join\.by: no modality "words"; there are audio, text',
        ),
        (
            {"join__kind": "cross_attention", "join__heads": 3},
            "size must be a multiple of heads, but got size=8, heads=3",
        ),
        ({"modalities__audio__filters": []}, "a modality of kind audio needs at least one convolution"),
        ({"protocol__leaky": True}, "this family uses whole clips only"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        settings(**changes)


def test_a_modality_is_named_by_small_letters() -> None:
    with pytest.raises(
        UserError,
        match=r"modalities\.the_text: a modality name may contain only lower-case letters and digits",
    ):
        config.settings_of(
            raw_settings({"audio": "path"}, modalities__the_text=raw_settings(TWO)["modalities"]["text"]),
            "test",
        )


def with_value(table: pd.DataFrame, column: str, value) -> pd.DataFrame:
    changed = table.copy()
    changed[column] = pd.Series([value, *changed[column][1:]], dtype=object)
    return changed


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("words", 3.5, r"modalities\.text: clip_00: 3\.5: must be a list of tokens"),
        (
            "notes",
            [(0.0, 1.0, 20)],
            r"modalities\.score: clip_00: a note of MIDI pitch 20: a piano has whole pitches from 21 to 108",
        ),
        ("notes", [(0.0, 1.0, 60.5)], "a note of MIDI pitch 60.5"),
        ("notes", [(1.0, 1.0, 60)], r"a note from 1 to 1 s: 0 <= onset < offset must hold"),
        ("notes", [(1.0, 60)], r"must be a list of \(onset seconds, offset seconds, MIDI pitch\)"),
        ("picture", "nowhere.png", r"modalities\.image: clip_00: .*cannot be read as an image"),
        ("numbers", [1.0], r"modalities\.table: clip_01: has shape \(2,\), but the first clip has \(1,\)"),
        ("numbers", [1.0, float("nan")], "must be a list of finite numbers"),
        ("numbers", "many", "must be a number or a list of numbers"),
        ("path", 7, r"modalities\.audio: clip_00: 7: must be the path of a sound file"),
    ],
)
def test_values_that_are_not_of_their_kind_are_refused(use, table, column, value, message) -> None:
    use(with_value(table, column, value))
    with pytest.raises(UserError, match=message) as error:
        fusion.prepare(settings(ALL), 1)
    assert "\n" not in str(error.value)


def test_keys_need_bands_whose_frequency_is_known() -> None:
    with pytest.raises(
        UserError,
        match=r'modalities\.text\.encoder = "keys": .* of kind text has no keys here; set encoder = "lstm"',
    ):
        settings(modalities__text__encoder="keys")
    with pytest.raises(
        UserError, match=r'modalities\.audio\.encoder = "keys": .* set features\.kind = "log_mel"'
    ):
        settings(ALL, modalities__audio__encoder="keys", features__kind="mfcc", features__coefficients=8)


def test_modalities_of_different_clips_are_refused(use, table) -> None:
    use(table.assign(of_text=np.where(table["clip_id"] == "clip_03", "clip_04", table["clip_id"])))
    with pytest.raises(
        UserError,
        match=r"row 3 pairs .* different clips: clip_id is clip_03, but of_text is clip_04 \(1 such rows\)",
    ):
        fusion.prepare(settings(modalities__text__id_column="of_text"), 1)
    use(with_value(table, "picture", table["picture"][2]))  # clip_00 is "other", clip_02 "same"
    with pytest.raises(
        UserError,
        match=(
            r"in rows with different verdict: clip_00 \(other\), clip_02 \(same\): modalities of different clips"
        ),
    ):
        fusion.prepare(settings({"image": "picture", "text": "words"}), 1)
    # a picture of two questions
    fusion.prepare(settings({"image": "picture", "text": "words"}, modalities__image__shared=True), 1)
    use(with_value(table, "picture", table["picture"][1]))  # the same label: allowed
    fusion.prepare(settings({"image": "picture", "text": "words"}), 1)


def test_absent_columns_and_clips_without_anything_are_refused(use, table) -> None:
    with pytest.raises(
        UserError,
        match=r'modalities\.text\.column = "word": the clip table has no such column; did you mean words\?',
    ):
        fusion.prepare(settings(modalities__text__column="word"), 1)
    with pytest.raises(
        UserError, match=r'modalities\.text\.id_column = "of": the clip table has no such column'
    ):
        fusion.prepare(settings(modalities__text__id_column="of"), 1)
    use(with_value(table, "words", None))
    with pytest.raises(UserError, match="clip_00: has none of the modalities text"):
        fusion.prepare(settings(join__leave_out=["audio"]), 1)
    use(table.assign(words=None))
    with pytest.raises(
        UserError, match=r"modalities\.text: no clip of the train split has it; add it to join\.leave_out"
    ):
        fusion.prepare(settings(), 1)


def test_greyscale_and_arrays_are_pictures(use, table, tmp_path) -> None:
    for name, pixels in {
        "grey": np.full((8, 8), 51, np.uint8),
        "deep": np.full((8, 8, 3), 0.2, np.float32),
    }.items():
        np.save(tmp_path / f"{name}.npy", pixels)
        use(with_value(table, "picture", str(tmp_path / f"{name}.npy")))
        prepared = fusion.prepare(settings({"image": "picture", "text": "words"}), 2)
        one = next(one for side in prepared.examples.values() for one in side if one.clip_id == "clip_00")
        assert one.values["image"].shape == (8, 8, 3) and np.allclose(one.values["image"], 0.2 - 0.5)


def test_the_loss_reaches_every_weight(use) -> None:
    some = settings(ALL, join__kind="aligned")
    prepared = fusion.prepare(some, 1)
    seed_everything(1)
    model = fusion.network(some, prepared.known)
    batch = fusion._collate(prepared.examples["train"][:8], some, prepared.known)
    with tf.GradientTape() as tape:
        answers = model({name: value for name, value in batch.items() if name not in ("labels", "clip_ids")})
        value = tf.reduce_sum(tf.math.log(answers["clip"][:, 0]))
    gradients = tape.gradient(value, [one.value for one in model.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    assert isinstance(model, keras.Model)
