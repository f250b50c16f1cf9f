"""From outputs to phones: greedily, by beam and by frames; decoders that are fitted, kept and used alike."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.contract import Prepared
from audiomtl.families.ctc import model as family
from audiomtl.families.ctc import reading, use
from audiomtl.metrics import calibration
from audiomtl.nn import ctc
from audiomtl.settings.decoding import Decoding
from tests.families.ctc.test_use import VOCABULARY, _fitted, _sound
from tests.whole_settings import whole_settings

WORDS = ("_", "a", "b")
BEAM = {
    "method": "beam",
    "beam_width": 8,
    "language_order": 2,
    "language_weight": [0.0, 0.5],
    "insertion_bonus": [0.0, 1.0],
}
FRAMES = {
    "method": "viterbi",
    "minimum_steps": [1, 2],
    "switch_penalty": 0.0,
    "prior_weight": 0.0,
    "language_weight": 0.5,
}


def clips(count: int, seed: int, noise: float = 1.5) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Labels, labels of frames, and logits that say them through noise."""
    random, made = np.random.default_rng(seed), []
    for _ in range(count):
        labels = np.array([1, *random.permutation([2, 3, 2, 3]), 1])
        frame_labels = np.repeat(labels, 3)
        logits = random.normal(0, noise, (len(frame_labels), 4))
        logits[np.arange(len(frame_labels)), frame_labels] += 2.0
        logits[2::3, 0] += 4.0
        made.append((labels, frame_labels, logits))
    return made


def fitted_decoder(decoding: dict[str, Any], mode: reading.Mode) -> reading.Decoder:
    train = [(labels, frame_labels) for labels, frame_labels, _ in clips(20, 0)]
    validation = [([WORDS[one - 1] for one in labels], logits) for labels, _, logits in clips(12, 1)]
    return reading.fit(Decoding.model_validate(decoding), WORDS, mode, train, validation)


@pytest.mark.parametrize("mode", ["ctc", "frames"])
def test_greedy_transcripts_are_runs_of_the_likeliest_class(mode: reading.Mode) -> None:
    logits = [one for *_, one in clips(5, 2)]
    for one, found in zip(logits, reading.read(logits, mode, None), strict=True):
        best = reading.likeliest(one, mode)
        assert found.symbols.tolist() == ctc.collapse(best, drop=(ctc.BLANK,))
        for begin, end, symbol in zip(found.begins, found.ends, found.symbols, strict=True):
            assert (best[begin:end] == symbol).all()
        assert ((found.scores > 0) & (found.scores <= 1)).all()


@pytest.mark.parametrize("decoding, mode", [(BEAM, "ctc"), (FRAMES, "frames")])
def test_a_decoder_reads_better_and_knows_how_sure_it_is(decoding: Any, mode: reading.Mode) -> None:
    decoder, unseen = fitted_decoder(decoding, mode), clips(60, 3)
    truth = [[WORDS[one - 1] for one in labels] for labels, *_ in unseen]
    logits = [one for *_, one in unseen]
    rate = family.sequences.error_rate
    read = [one.phones(WORDS) for one in reading.read(logits, mode, decoder)]
    greedy = [one.phones(WORDS) for one in reading.read(logits, mode, None)]
    assert rate(truth, read) < rate(truth, greedy)
    assert calibration.error(*reading.confidences(decoder, truth, logits)) < 0.1
    for one in reading.read(logits, mode, decoder):
        assert (one.begins < one.ends).all() and (one.ends[:-1] <= one.begins[1:]).all()
        assert ((one.scores >= 0) & (one.scores <= 1)).all()
    if mode == "ctc":
        assert {len(one.alternatives) for one in decoder.transcripts(logits)} == {reading.N_BEST - 1}


@pytest.mark.parametrize("decoding, mode", [(BEAM, "ctc"), (FRAMES, "frames")])
def test_numbers_are_chosen_and_come_back_from_json(decoding: Any, mode: reading.Mode) -> None:
    decoder = fitted_decoder(decoding, mode)
    assert not any(isinstance(value, list | tuple) for value in decoder.numbers.values())
    back = reading.from_json(json.loads(json.dumps(reading.to_json(decoder))), WORDS, mode)
    logits = [one for *_, one in clips(3, 4)]
    for one, other in zip(decoder.transcripts(logits), back.transcripts(logits), strict=True):
        assert one.symbols.tolist() == other.symbols.tolist() and (one.scores == other.scores).all()
    assert back == replace(decoder, shares=back.shares) and (back.shares == decoder.shares).all()


@pytest.mark.parametrize("decoding, mode", [(BEAM, "ctc"), (FRAMES, "frames")])
def test_silence_and_a_step_and_what_is_no_number(decoding: Any, mode: reading.Mode) -> None:
    decoder = fitted_decoder(decoding, mode)
    silence = np.tile([20.0, 10.0, 0.0, 0.0], (30, 1))  # a blank, or else a pause
    quiet, step, nothing = decoder.transcripts([silence, silence[:1], np.zeros((0, 4))])
    assert [phone for phone in quiet.phones(WORDS) if phone != "_"] == []
    assert len(step.symbols) <= 1 and len(nothing.symbols) == 0
    for value in (np.nan, np.inf):
        with pytest.raises(UserError, match="outputs are not finite: its training diverged"):
            decoder.transcripts([np.full((4, 4), value)])


def test_a_train_split_without_words_and_an_empty_validation_transcript() -> None:
    decoding = Decoding.model_validate({**BEAM, "language_weight": 0.5, "insertion_bonus": 0.0})
    empty = np.zeros(0, int)
    decoder = reading.fit(decoding, WORDS, "ctc", [(empty, empty)], [([], clips(1, 5)[0][2])])
    assert len(decoder.transcripts([clips(1, 6)[0][2]])) == 1


# ---------------------------------------------------------------- in the model


@pytest.fixture(scope="module")
def model() -> Any:
    """The untrained network of `test_use` with a decoder that was fitted on what it says of noise."""
    fitted = _fitted()
    given = [use._clip(f"r{number}", _sound(0.5 + number / 4, number), fitted) for number in range(6)]
    spoken = [replace(one, phones=("a", "b"), labels=np.array([2, 3], np.int32)) for one in given]
    settings = fitted.settings.model_copy(update={"decoding": Decoding.model_validate(BEAM)})
    fitted = replace(fitted, settings=settings)
    prepared = Prepared(None, {"train": spoken}, None, {})  # type: ignore[arg-type]
    return family.with_decoder(fitted, prepared, family.outputs(fitted, spoken)), spoken


def test_every_use_of_a_model_reads_alike(model: Any, tmp_path: Any, capsys: Any) -> None:
    fitted, spoken = model
    family.save(fitted, tmp_path)
    loaded = family.load(tmp_path)
    tables, answers = [], []
    for one in (fitted, loaded):
        found = family.outputs(one, spoken)
        tables.append(family.predict(one, found))
        scores = family.evaluate(one, found)
        assert scores.items() >= family.decoded_scores(one, found).items()
        assert scores["phone_error_rate"] == tables[-1]["edits"].sum() / tables[-1]["phones"].sum()
        recordings = [Recording(f"r{number}", _sound(0.5 + number / 4, number)) for number in range(6)]
        answers.append([one.answers["phones"] for one in use.respond(one, recordings)])
    pd.testing.assert_frame_equal(*tables)
    assert answers[0] == answers[1]
    for answer, row in zip(answers[0], tables[0].to_dict("records"), strict=True):
        kept = [place for place, phone in enumerate(row["predicted"]) if phone != "_"]
        assert [span.label for span in answer.spans] == [row["predicted"][place] for place in kept]
        assert [span.score for span in answer.spans] == [row["predicted_scores"][place] for place in kept]
        assert len(row["alternatives"]) == reading.N_BEST - 1


def test_outputs_that_are_no_numbers_name_the_recording(model: Any) -> None:
    broken = replace(model[0], forward=lambda inputs: model[0].forward(inputs) * np.nan)
    with pytest.raises(UserError, match=r"^r7: the network's outputs are not finite"):
        use.respond(broken, [Recording("r7", _sound(0.5))])


def test_epochs_are_judged_without_a_decoder_and_greedy_has_none(model: Any) -> None:
    fitted, spoken = model
    greedy = replace(fitted, known=replace(fitted.known, decoder=None))
    assert "confidence_error" not in family.evaluate(greedy, family.outputs(greedy, spoken))
    table = fitted.settings.model_copy(update={"decoding": Decoding(method="greedy")})
    same = family.with_decoder(replace(greedy, settings=table), None, [])  # type: ignore[arg-type]
    assert same.known.decoder is None and fitted.known.vocabulary == VOCABULARY


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"decoding": FRAMES},
            'decoding.method = "viterbi": network.objective = "ctc" is read by greedy or beam',
        ),
        ({"decoding": {"method": "beam"}}, "decoding.beam_width is missing"),
        ({"decoding": {**BEAM, "beam_width": 0}}, "decoding.beam_width = 0: must be at least 1"),
        (
            {"decoding": {**BEAM, "language_weight": -1.0}},
            "decoding.language_weight = -1.0: must be at least 0",
        ),
        (
            {"decoding": {**BEAM, "language_weight": []}},
            "decoding.language_weight = []: must have a length of",
        ),
        (
            {"decoding": {**BEAM, "language_weight": [0.1, "x"]}},
            'decoding.language_weight[1] = "x": must be a number',
        ),
        ({"decoding": {**BEAM, "language_weight": "x"}}, 'decoding.language_weight = "x": must be a number'),
        ({"decoding": {"method": "bean"}}, 'decoding.method = "bean": must be one of'),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(changes: Any, message: str) -> None:
    raw = {**whole_settings("quickstart"), **changes}
    with pytest.raises(UserError) as refused:
        config.settings_of(raw, "x.toml")
    assert message in str(refused.value) and "\n" not in str(refused.value)
