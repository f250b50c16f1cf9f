"""CPU time of decoding: our prefix beam, beside pyctcdecode and torchaudio where they are, and Viterbi.

Run ``python benchmarks/decode.py [--rounds N]``; it prints a Markdown table. Medians of `time.process_time`
over interleaved rounds. Beam: 300 frames, 40 classes, 16 prefixes; of outputs that are sure in most frames,
as a trained network's are, and of noise, where every class counts. Viterbi: 16 recordings of 1,000
frames with 40 classes and a full matrix of transitions.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from audiomtl.nn.decoding import beam, ngram, viterbi

FRAMES, CLASSES, WIDTH = 300, 40, 16
WORDS = [chr(ord("A") + number) for number in range(CLASSES - 1)]
LEAST = float(np.log(1e-3))  # as of a trained model's decoder
AIMS = {"beam": 20.0, "viterbi": 50.0}  # milliseconds


def log_softmax(values: np.ndarray) -> np.ndarray:
    return values - np.logaddexp.reduce(values, axis=1, keepdims=True)


def outputs(sure: bool) -> np.ndarray:  # (frames, classes)
    """Log probabilities; class 0 is the blank, and where they are sure every fifth frame says a word."""
    random = np.random.default_rng(0)
    values = random.normal(size=(FRAMES, CLASSES))
    if sure:
        values[:, 0] += 9.0
        said = np.arange(0, FRAMES, 5)
        values[said, random.integers(1, CLASSES, len(said))] += 11.0
    return log_softmax(values)


def pyctcdecode_of(logs: np.ndarray) -> Callable[[], Any]:
    from pyctcdecode import build_ctcdecoder

    decoder = build_ctcdecoder(["", *WORDS])
    return lambda: decoder.decode(logs, beam_width=WIDTH)


def torchaudio_of(logs: np.ndarray) -> Callable[[], Any]:
    import torch
    from torchaudio.models.decoder import ctc_decoder

    tokens = ["-", *WORDS, "|"]
    decoder = ctc_decoder(None, tokens, beam_size=WIDTH, blank_token="-", sil_token="|")
    padded = np.concatenate([logs, np.full((len(logs), 1), -30.0)], axis=1)
    emissions = torch.from_numpy(padded.astype(np.float32))[None]
    return lambda: decoder(emissions)


OTHERS = {"pyctcdecode": pyctcdecode_of, "torchaudio": torchaudio_of}


def milliseconds(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median CPU time of each call, taken in turns after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-1, rounds):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            if turn >= 0:
                times[name].append(1000 * (time.process_time() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def beam_calls(logs: np.ndarray) -> dict[str, Callable[[], Any]]:
    random = np.random.default_rng(1)
    texts = [random.choice(WORDS, 40).tolist() for _ in range(100)]
    language = ngram.automaton(ngram.train(texts, WORDS, 2), sorted(WORDS))
    calls: dict[str, Callable[[], Any]] = {
        "beam": lambda: beam.search(logs, width=WIDTH, least=LEAST),
        "beam, bigram": lambda: beam.search(
            logs, width=WIDTH, least=LEAST, language=language, language_weight=0.5
        ),
    }
    installed = {name: make for name, make in OTHERS.items() if importlib.util.find_spec(name)}
    return calls | {name: make(logs) for name, make in installed.items()}


def viterbi_calls() -> dict[str, Callable[[], Any]]:
    random = np.random.default_rng(2)
    scores = [log_softmax(random.normal(size=(1000, CLASSES))) for _ in range(16)]
    change = log_softmax(random.normal(size=(CLASSES, CLASSES)))

    def decode(minimum: int) -> Callable[[], Any]:
        return lambda: viterbi.best_paths(scores, change, minimum=minimum)

    return {f"viterbi, runs of {minimum} or more": decode(minimum) for minimum in (1, 2, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print("| what | outputs | ms | aim | times ours |\n| --- | --- | --- | --- | --- |")
    for sure in (True, False):
        found = milliseconds(beam_calls(outputs(sure)), rounds)
        for name, value in found.items():
            aim = f"{AIMS['beam']:g}" if name.startswith("beam") else ""
            of = "sure" if sure else "noise"
            print(f"| {name} | {of} | {value:.1f} | {aim} | {value / found['beam']:.2f} |")
    for name, value in milliseconds(viterbi_calls(), rounds).items():
        print(f"| {name} | noise | {value:.1f} | {AIMS['viterbi']:g} | |")
    for name in OTHERS:
        if not importlib.util.find_spec(name):
            print(f"\n{name} is not installed here: not compared")


if __name__ == "__main__":
    main()
