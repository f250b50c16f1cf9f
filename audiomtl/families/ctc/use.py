"""Use of a trained CTC model on new recordings and on other labelled clips.

Contents: the functions of `contract.Use`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog
from audiomtl.data.answers import Phones, Recording, Response, Span
from audiomtl.data.features import frame_times
from audiomtl.data.pipeline import Example
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.ctc import loss as ctc
from audiomtl.families.ctc.model import PAUSE, _best, _example, outputs
from audiomtl.families.ctc.network import reduced
from audiomtl.families.ctc.settings import Settings


def sample_rate(settings: Settings) -> int:
    return settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return ()


def gives(settings: Settings) -> dict[str, str]:
    return {"phones": "phones"}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The phones of each recording: each lasts until the next symbol, a pause or its last frame."""
    nothing = np.zeros(0, np.int32)
    given = [
        Example(one.name, "", contract.heard(one, fitted.settings.features), nothing, nothing)
        for one in recordings
    ]
    found = {id(example): logits for example, logits in outputs(fitted, given)}
    return [
        Response(
            one.name,
            seconds := len(one.y) / sample_rate(fitted.settings),
            {"phones": Phones(_spans(fitted, found[id(example)], len(example.frames), seconds))},
        )
        for one, example in zip(recordings, given, strict=True)
    ]


def _spans(fitted: Fitted, logits: np.ndarray, n_frames: int, seconds: float) -> tuple[Span, ...]:
    """Runs of the best class that are phones; their score is the mean probability of the phone."""
    reduction = fitted.settings.network.time_reduction
    best, step = _best(fitted, logits), reduction * fitted.settings.features.seconds_per_frame
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    first = np.flatnonzero(np.diff(best, prepend=-1))
    times = frame_times(n_frames, fitted.settings.features)[first * reduction]
    spans = []
    for start, begin, end in zip(times, first, np.append(first[1:], len(best)), strict=True):
        label = fitted.known.vocabulary[best[begin] - 1] if best[begin] > 0 else PAUSE
        if label != PAUSE and start < seconds:
            score = float(scores[begin:end, best[begin]].mean())
            spans.append(Span(float(start), min(float(start + (end - begin) * step), seconds), label, score))
    return tuple(spans)


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose phones the model knows, and which have as many network frames as phones."""
    if "phones" not in table.columns:
        raise UserError(
            f"the table has no column phones, which the scores of this model need; it has"
            f" {', '.join(map(str, table.columns))}"
        )
    settings, vocabulary = fitted.settings, fitted.known.vocabulary
    known = [set(phones) <= set(vocabulary) for phones in table["phones"]]
    kept = table[known]
    if kept.empty:
        raise UserError(f"phones: every clip has phones that the model does not know: {' '.join(vocabulary)}")
    store = FeatureStore(catalog.cache_folder() / "features")
    frames = store.features(list(kept["path"]), settings.features)
    rows = zip(kept.itertuples(), frames, strict=True)
    made = [_example(row, matrix, vocabulary, settings) for row, matrix in rows]
    reduction = settings.network.time_reduction
    return [one for one in made if ctc.feasible(reduced(len(one.frames), reduction), one.labels)]
