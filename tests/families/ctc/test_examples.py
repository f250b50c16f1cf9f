"""Strangers' clips for CTC: transcripts instead of phones, phones that train lacks, clips without any."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import UserError
from audiomtl.families.contract import Prepared
from audiomtl.families.ctc import model as family
from tests.whole_settings import whole_settings

SMALL = {"protocol.test_values": [1], "protocol.validation_values": [1], "data.groups": ["speaker"]}
SPEAKERS = 6  # the first is in test, the second in validation


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """12 clips of noise of 0.5 s with a transcript each; two per speaker."""
    rows = []
    for index in range(12):
        random = np.random.default_rng(index)
        path = tmp_path / f"{index:02d}.wav"
        audio.save(path, 0.1 * random.standard_normal(8000).astype(np.float32), sample_rate=16000)
        rows.append((f"{index:02d}", str(path), f"s{index % SPEAKERS}", "ab cab"))
    return pd.DataFrame(rows, columns=["clip_id", "path", "speaker", "text"])


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`prepare` of a table by changed settings of the quickstart experiment."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))

    def prepare(table: pd.DataFrame, **overrides: Any) -> Prepared:
        monkeypatch.setattr(catalog, "clips", lambda data: table)
        changes = {name.replace("__", "."): value for name, value in overrides.items()}
        raw = config.override(whole_settings("quickstart"), SMALL | changes)
        return family.prepare(config.settings_of(raw, "test"), 0)

    return prepare


def _changed(table: pd.DataFrame, column: str, row: int, value: Any) -> pd.DataFrame:
    cells = list(table[column])
    cells[row] = value
    return table.assign(**{column: pd.Series(cells, dtype=object)})


def test_transcripts_alone_are_enough(table, prepared) -> None:
    made = prepared(table, text__units="letters")
    assert made.known.vocabulary == ("a", "b", "c")
    [clip, *_] = made.examples["train"]
    assert clip.phones == tuple("abcab") and clip.labels.tolist() == [1, 2, 3, 1, 2]
    assert not len(clip.starts) and not len(clip.frame_labels)


def test_times_are_optional_for_each_clip(table, prepared) -> None:
    phones = table.assign(phones=[["a", "b"]] * 12, starts=[[0.0, 0.2], None] * 6).drop(columns="text")
    made = prepared(phones)
    timed = [len(one.frame_labels) > 0 for side in made.examples.values() for one in side]
    assert sum(timed) == 6
    with pytest.raises(UserError, match="needs phone times"):
        prepared(phones, network__objective="frames")


def test_phones_that_train_lacks_count_as_errors_where_that_is_wanted(table, prepared, capsys) -> None:
    strange = _changed(table, "text", 0, "axb")
    with pytest.raises(UserError, match='phones absent from train: "x" of test'):
        prepared(strange, text__units="letters")
    made = prepared(strange, text__units="letters", network__unseen="count")
    [clip] = [one for one in made.examples["test"] if one.clip_id == "00"]
    assert clip.phones == ("a", "x", "b") and clip.labels.tolist() == [1, 2]
    assert (made.facts["test/unseen_phones"], made.facts["validation/unseen_phones"]) == (1.0, 0.0)
    assert "test: 1 of 8 phones are of kinds that train does not have" in capsys.readouterr().out


def test_clips_without_a_transcript_are_refused_or_left_out(table, prepared, capsys) -> None:
    silent = _changed(table, "text", 3, None)
    with pytest.raises(UserError, match=r'1 of 12 clips have no transcript: 03: .*untranscribed = "drop"'):
        prepared(silent, text__units="letters")
    made = prepared(silent, text__units="letters", network__untranscribed="drop")
    assert sum(map(len, made.examples.values())) == 11 and made.facts["untranscribed"] == 1.0
    assert "dropped 1 clips without a transcript: 03" in capsys.readouterr().out
    with pytest.raises(UserError, match="no clip has a transcript"):
        prepared(table.assign(text=None), text__units="letters", network__untranscribed="drop")


@pytest.mark.parametrize(
    ("change", "overrides", "words"),
    [
        ({}, {}, 'no column phones, which ctc learns.*such as \\[text\\] with column = "text"'),
        ({"text": "x"}, {"text__units": "letters", "text__column": "txt"}, "did you mean text"),
        ({"phones": "a b"}, {}, 'clip 00: column phones holds the text "a b"'),
        ({"text": "a" * 90}, {"text__units": "letters"}, "more phones .* than network frames"),
    ],
)
def test_data_that_ctc_cannot_learn_are_refused_in_one_line(
    table, prepared, change: dict[str, Any], overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        prepared(table.assign(**change), **overrides)
    assert "\n" not in str(caught.value)
