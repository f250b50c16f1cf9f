"""What is exported says what the model in memory says, and refuses what it cannot hear."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.families.transfer import serving
from audiomtl.families.transfer.head import head_network
from audiomtl.nn import yamnet
from tests.families.transfer.test_head import settings
from tests.nn import yamnet_weights

NAMES = ("dog", "rain", "rooster")
SECONDS = (0.1, 0.975, 2.2, 12.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return yamnet.read_weights(yamnet_weights.write(tmp_path_factory.mktemp("weights") / "yamnet.h5"))


@pytest.fixture(scope="module")
def body(weights) -> keras.Model:
    return yamnet.set_weights(yamnet.body(0), weights)


def head(**changes) -> keras.Model:
    keras.utils.set_random_seed(1)
    some = settings(**changes)
    mean = np.random.default_rng(0).normal(0, 1, yamnet.SIZE)
    return head_network(
        some.head, some.pooling, size=yamnet.SIZE, classes=3, mean=mean, deviation=np.ones(yamnet.SIZE)
    )


def waveforms() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.uniform(-0.5, 0.5, round(seconds * 16000)).astype(np.float32) for seconds in SECONDS]


@pytest.fixture(scope="module")
def exported(body, tmp_path_factory):
    in_memory = serving.Serving(serving.waveform_model(head(), body), NAMES)
    folder = tmp_path_factory.mktemp("saved")
    serving.save(in_memory, folder)
    return in_memory, tf.saved_model.load(str(folder))


def test_the_saved_model_is_the_model_in_memory_bit_for_bit(exported) -> None:
    in_memory, loaded = exported
    said = []
    for y in waveforms():
        expected = in_memory(y).numpy()
        assert expected.shape == (3,) and expected.sum() == pytest.approx(1)
        assert np.array_equal(loaded(y), expected)
        assert np.array_equal(
            loaded.signatures["serving_default"](waveform=tf.constant(y))["classifier"], expected
        )
        assert np.array_equal(in_memory.model(y)["classifier"], expected)
        said.append(expected)
    assert np.std(said, axis=0).max() > 1e-4  # it listens


def test_a_batch_hears_each_waveform_up_to_its_length(exported) -> None:
    in_memory, loaded = exported
    some = waveforms()
    longest = max(map(len, some))
    padded = np.stack([np.pad(y, (0, longest - len(y)), constant_values=0.9) for y in some])
    lengths = tf.constant([len(y) for y in some])
    got = loaded.signatures["batch"](waveforms=tf.constant(padded), lengths=lengths)["classifier"].numpy()
    assert np.allclose(got, [in_memory(y).numpy() for y in some], atol=1e-6)


def test_embeddings_and_scores_of_patches(exported, body) -> None:
    _, loaded = exported
    y = waveforms()[2]
    outputs = loaded.signatures["embed"](waveform=tf.constant(y))
    assert outputs["embeddings"].shape == (4, 1024) and outputs["scores"].shape == (4, 3)
    expected = body(yamnet.patches_of(yamnet.log_mel(yamnet.padded(tf.constant(y)))))
    assert np.allclose(outputs["embeddings"], expected, atol=1e-5)


def test_it_says_what_it_knows(exported) -> None:
    names, profile = serving.described(exported[1])
    assert names == NAMES and profile == yamnet.PROFILE == json.loads(json.dumps(yamnet.PROFILE))


def test_the_signature_of_tensorflow_serving(exported) -> None:
    signature = exported[1].signatures["serving_default"]
    [(name, spec)] = signature.structured_input_signature[1].items()
    assert name == "waveform" and spec.shape.as_list() == [None] and spec.dtype == tf.float32
    assert set(signature.structured_outputs) == {"classifier"} and signature.structured_outputs[
        "classifier"
    ].shape.as_list() == [3]


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.zeros(1599, np.float32), "at least 0.1 s"),
        (np.zeros(60 * 16000 + 1, np.float32), "at most 60 s"),
        (np.full(16000, 8000, np.float32), "divide 16-bit integers by 32768"),
    ],
)
def test_what_it_cannot_hear_is_refused(exported, waveform, reason) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        exported[1](waveform)


def test_another_rate_is_refused_where_it_is_said(exported) -> None:
    y = tf.constant(waveforms()[1])
    assert exported[1].signatures["checked"](waveform=y, sample_rate=tf.constant(16000))[
        "classifier"
    ].shape == (3,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="16000 Hz is needed"):
        exported[1].signatures["checked"](waveform=y, sample_rate=tf.constant(44100))


def test_predict_on_a_waveform_says_what_to_call(exported) -> None:
    with pytest.raises(UserError, match=r"call the model itself, model\(waveform\)"):
        exported[0].model.predict(waveforms()[0])


def test_the_keras_file_reloads_in_safe_mode(exported, tmp_path) -> None:
    exported[0].model.save(tmp_path / "whole.keras")
    again = keras.models.load_model(tmp_path / "whole.keras", safe_mode=True)
    assert np.array_equal(again(waveforms()[1])["classifier"], exported[0](waveforms()[1]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("mean", "embeddings"),
        ("attention", "probabilities"),
        *(
            pytest.param(name, "logits", marks=pytest.mark.long)
            for name in ("mean", "max", "autopool", "top_k")
        ),
    ],
)
def test_the_tflite_file_says_the_same_to_1e_4(body, name, of) -> None:
    model = head(pooling__name=name, pooling__of=of)
    content = serving.tflite(serving.waveform_model(model, body, for_tflite=True))
    assert len(content) > 12_000_000  # its weights are in it
    whole = serving.waveform_model(model, body)
    for y in waveforms():
        assert np.abs(serving.use_tflite(content, y) - whole(y)["classifier"].numpy()).max() < 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")
def test_a_tuned_end_of_yamnet_is_exported_with_it(weights) -> None:
    tail = yamnet.tail(2, weights, 0.1)
    tail.get_layer("layer14").change["pointwise_conv"].assign_add(
        np.random.default_rng(0).normal(0, 0.3, (1, 1, 1024, 1024))
    )
    patches, counts = keras.Input((yamnet.body_size(2),)), keras.Input((), dtype="int32")
    model = keras.Model([patches, counts], head()([tail(patches), counts]))
    body = yamnet.set_weights(yamnet.body(2), weights)
    whole = serving.waveform_model(model, body)
    content = serving.tflite(serving.waveform_model(model, body, for_tflite=True))
    frozen = serving.waveform_model(head(), yamnet.set_weights(yamnet.body(0), weights))
    y = waveforms()[1]
    assert np.abs(serving.use_tflite(content, y) - whole(y)["classifier"].numpy()).max() < 1e-4
    assert np.abs(frozen(y)["classifier"].numpy() - whole(y)["classifier"].numpy()).max() > 1e-4
    assert whole(y)["embeddings"].shape == (1, 1024)
