"""A CTC model on new recordings: phones, alignment, and what a person may get wrong."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog, scaling
from audiomtl.data.answers import Phones, Recording
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted, compiled
from audiomtl.families.ctc import long, use
from audiomtl.families.ctc import model as family
from audiomtl.families.ctc.model import Known
from audiomtl.families.ctc.network import recurrent_network
from audiomtl.nn.fit import seed_everything
from tests.whole_settings import whole_settings

VOCABULARY = ("_", "a", "b", "n", "oː", "m", "ɛ")
STEP = 0.02  # seconds: hop of 10 ms, reduction of 2


def _fitted(mode: str = "ctc", **overrides: Any) -> Fitted:
    """An untrained network of the quickstart experiment's size: sure of nothing, the same in every test."""
    changes = {"network.units": [12], "network.convolution_filters": 8, "network.time_reduction": 2}
    raw = config.override(whole_settings("quickstart"), changes | overrides)
    settings = config.settings_of(raw, "test")
    seed_everything(3)
    network = recurrent_network(
        settings.features.n_bands,
        len(VOCABULARY) + 1,
        units=(12,),
        convolution_filters=8,
        convolution_frames=5,
        time_reduction=2,
    )
    # louder logits, so that classes change over time
    network.get_layer("logits").set_weights([8 * one for one in network.get_layer("logits").get_weights()])
    scaler = scaling.fit([np.zeros((1, settings.features.n_bands), np.float32)], settings.features.scaling)
    known = Known(VOCABULARY, scaler, mode)  # type: ignore[arg-type]
    return Fitted(network, settings, known, compiled(network), network.count_params())


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return _fitted()


def _sound(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * 16000)) / 16000
    tone = np.sin(2 * np.pi * (300 + 2000 * np.abs(np.sin(3 * times + seed))) * times)
    return (0.3 * tone + 0.02 * random.standard_normal(len(times))).astype(np.float32)


@pytest.mark.parametrize("mode", ["ctc", "frames"])
def test_a_recording_has_the_phones_that_are_predicted_for_its_clip(mode: str) -> None:
    fitted = _fitted(mode)
    given = [Recording(f"r{number}", _sound(0.4 + number, number)) for number in range(3)]
    responses = use.respond(fitted, given)
    clips = [use._clip(one.name, one.y, fitted) for one in given]
    table = family.predict(fitted, family.outputs(fitted, clips)).set_index("clip_id")
    for one, response in zip(given, responses, strict=True):
        answer = response.answers["phones"]
        assert isinstance(answer, Phones) and response.name == one.name
        row = table.loc[one.name]
        spoken = [
            (phone, start)
            for phone, start in zip(row["predicted"], row["predicted_starts"], strict=True)
            if phone != "_"
        ]
        # a phone of the last frame, on the very end, begins before it
        said = [(label, min(start, response.seconds - STEP / 2)) for label, start in spoken]
        assert [(span.label, span.start_seconds) for span in answer.spans] == said
        for span, after in zip(answer.spans, [*answer.spans[1:], None], strict=True):
            end = after.start_seconds if after else response.seconds
            assert span.start_seconds < span.end_seconds <= end + 1e-9 and 0 < span.score <= 1


def test_order_and_number_of_recordings_change_no_answer(fitted) -> None:
    given = [Recording(f"r{number}", _sound(0.3 + 0.4 * number, number)) for number in range(5)]
    alone = {one.name: use.respond(fitted, [one])[0] for one in given}
    for order in (given, given[::-1], given[2:4]):
        for response in use.respond(fitted, order):
            first, second = response.answers["phones"].spans, alone[response.name].answers["phones"].spans
            assert [(one.label, one.start_seconds) for one in first] == [
                (one.label, one.start_seconds) for one in second
            ]
            np.testing.assert_allclose([one.score for one in first], [one.score for one in second], rtol=1e-4)


def test_a_long_recording_is_read_in_chunks_from_memory_and_from_its_file(
    fitted, monkeypatch, tmp_path: Path
) -> None:
    y = _sound(14)
    [whole] = use.respond(fitted, [Recording("a", y)])
    monkeypatch.setattr(long, "LONGEST_SECONDS", 5.0)
    monkeypatch.setattr(long, "CHUNK_SECONDS", 3.0)
    monkeypatch.setattr(long, "OVERLAP_SECONDS", 1.0)
    [chunked] = use.respond(fitted, [Recording("a", y)])
    assert whole.remarks == () and "chunks" in chunked.remarks[0]
    labels = [[one.label for one in response.answers["phones"].spans] for response in (whole, chunked)]
    assert labels[0] == labels[1] and len(labels[0]) > 20
    audio.save(tmp_path / "a.wav", y, sample_rate=16000)
    stored = use.respond_file(fitted, tmp_path / "a.wav", "a")
    assert stored.seconds == chunked.seconds
    assert [one.label for one in stored.answers["phones"].spans] == labels[0]


# ---------------------------------------------------------------- alignment


def test_words_are_aligned_in_order(fitted) -> None:
    said = ["a-b", "b", "a"]
    fitted = _fitted(**{"text.units": "letters"})
    found = use.align(fitted, _sound(2.0), said, phones=False)
    assert [one.label for one in found.phones] == list("abba") and [one.label for one in found.words] == said
    assert found.firsts == (0, 2, 3) and found.seconds == 2.0
    times = [time for one in found.phones for time in (one.start_seconds, one.end_seconds)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 2.0
    assert all(0 < one.score <= 1 and one.end_seconds > one.start_seconds for one in found.phones)
    assert found.words[0].score == pytest.approx((found.phones[0].score + found.phones[1].score) / 2)
    again = use.align(fitted, _sound(2.0), list("abba"), phones=True)
    assert [one.label for one in again.phones] == list("abba") and again.words == ()


def test_a_language_takes_the_place_of_the_model_s_own(fitted) -> None:
    found = use.align(fitted, _sound(1.0), ["man", "ban"], phones=False, language="en")
    assert [one.label for one in found.phones] == list("manban")


@pytest.mark.parametrize("mode", ["ctc", "frames"])
def test_long_texts_are_aligned(mode: str) -> None:
    """More phones than an int8 can count."""
    fitted = _fitted(mode)
    said = ["a", "b", "n"] * 100
    found = use.align(fitted, _sound(10.0), said, phones=True)
    starts = [one.start_seconds for one in found.phones]
    assert [one.label for one in found.phones] == said and starts == sorted(starts)


@pytest.mark.parametrize(
    ("seconds", "said", "options", "words"),
    [
        (1.0, ["a", "q"], {"phones": True}, 'unknown symbols: "q": the model knows a b n oː m ɛ'),
        (1.0, ["a", "o"], {"phones": True}, '"o" (nearest oː)'),
        (1.0, ["Haus"], {"language": "de"}, 'unknown symbols: "h" of Haus'),
        (1.0, ["Haus"], {"language": "dee"}, '--language = "dee": espeak-ng has no such language'),
        (1.0, ["Haus"], {}, 'unknown symbols: "h" of Haus'),  # as its corpus speaks it
        (
            0.1,
            ["a"] * 20,
            {"phones": True},
            "a text of 20 phones is longer than the recording: 0.10 s have 6 steps",
        ),
        (0.1, ["a"] * 5, {"phones": True}, "a text of 9 phones (and repeats) is longer than the recording"),
        (0.1, ["ab"] * 20, {"language": "de"}, "a text of 20 words is longer than the recording"),
        (0.0, ["a"], {"phones": True}, "the sound has no samples"),
    ],
)
def test_texts_that_do_not_fit_are_refused_in_one_line(
    fitted, seconds: float, said: list[str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as caught:
        use.align(fitted, _sound(seconds), said, **{"phones": False} | options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_words_need_a_language_where_the_data_set_has_none(fitted, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "module", lambda data: SimpleNamespace())
    with pytest.raises(UserError, match=r"nothing says how words become phones: give the language"):
        use.align(fitted, _sound(1.0), ["Haus"], phones=False)


def test_a_recording_without_samples_is_refused_by_name(fitted) -> None:
    with pytest.raises(UserError, match="nothing: no samples"):
        use.respond(fitted, [Recording("nothing", np.zeros(0, np.float32))])
    with pytest.raises(UserError, match=r"--head x: .*which has no heads"):
        use.check(fitted.settings, "align", "x", "file.toml")


@pytest.mark.parametrize("samples", [1, 100, 700])
def test_a_moment_is_answered(fitted, samples: int) -> None:
    [response] = use.respond(fitted, [Recording("a", np.full(samples, 0.1, np.float32))])
    for span in response.answers["phones"].spans:
        assert 0 <= span.start_seconds < span.end_seconds <= response.seconds


def test_a_recording_in_which_nothing_is_said_has_no_phones() -> None:
    fitted = _fitted()
    weights, bias = fitted.model.get_layer("logits").get_weights()
    fitted.model.get_layer("logits").set_weights([0 * weights, np.eye(len(bias))[0]])  # only blanks
    [response] = use.respond(fitted, [Recording("a", _sound(1.0))])
    assert response.answers["phones"] == Phones(())


# ---------------------------------------------------------------- labelled clips and scores


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    rows = []
    for number, phones in enumerate([["_", "a", "b"], ["a", "q"], ["b"], None, ["a", "b"] * 60]):
        path = tmp_path / f"{number}.wav"
        audio.save(path, _sound(0.8, number), sample_rate=16000)
        starts = None if number == 2 or not phones else np.linspace(0, 0.7, len(phones)).tolist()
        rows.append((f"c{number}", str(path), phones, starts))
    return pd.DataFrame(rows, columns=["clip_id", "path", "phones", "starts"])


def test_clips_of_a_table_are_those_that_the_model_can_be_scored_on(fitted, table) -> None:
    assert [one.clip_id for one in use.examples(fitted, table)] == ["c0", "c2"]
    counting = _fitted(**{"network.unseen": "count"})
    assert [one.clip_id for one in use.examples(counting, table)] == ["c0", "c1", "c2"]
    with pytest.raises(UserError, match="phones that the model does not know, of q; it knows _ a b n oː m ɛ"):
        use.examples(fitted, table.iloc[[1]])
    with pytest.raises(UserError, match="no clip has a transcript"):
        use.examples(fitted, table.iloc[[3]])
    with pytest.raises(UserError, match="no column phones"):
        use.examples(fitted, table.drop(columns=["phones"]))


def test_unseen_phones_are_errors_and_boundaries_are_scored_where_times_are_known(table) -> None:
    fitted = _fitted(**{"network.unseen": "count"})
    clips = {one.clip_id: one for one in use.examples(fitted, table)}
    found = family.outputs(fitted, list(clips.values()))
    scores = family.evaluate(fitted, found)
    assert scores["loss"] > 0 and "frame_accuracy" not in scores
    assert scores["boundary_median_ms"] >= 0 and 0 <= scores["boundary_within_20_ms"] <= 1
    alone = family.evaluate(fitted, [one for one in found if one[0].clip_id == "c2"])
    assert not [name for name in alone if name.startswith("boundary")]
    predicted = family.predict(fitted, found).set_index("clip_id")
    assert predicted.loc["c1", "truth"] == ["a", "q"] and predicted.loc["c1", "edits"] >= 1


def test_scores_of_an_experiment_may_be_those_of_boundaries() -> None:
    scores = {"boundary_median_ms": "minimize", "phone_error_rate": "minimize"}
    raw = whole_settings("quickstart") | {"scores": scores}
    assert config.settings_of(raw, "test").scores == scores and list(config.scores(raw)) == list(scores)
    with pytest.raises(UserError, match="is not a score of this family; did you mean boundary_median_ms"):
        config.settings_of(raw | {"scores": {"boundary_median": "minimize"}}, "test")
