"""What is odd about a recording: silence, also of one channel, stereo in antiphase, a constant offset,
clipping, too short.

None of it is a fault: the file can be read, and may be meant as it is. But features of such a clip say
little, and a label on it is learned from nothing.

Conventions: a waveform is (n_samples,) or (n_samples, channels), floats with full scale 1.0; levels are in dB
re full scale. What is found is kept in an index of its own (`audiomtl.data.files`), so that a recording is
decoded once for as long as its file does not change.

Contents: `Finding`, `KINDS`; `of_waveform`, `of_file`, `findings`; `applied`, `window_seconds`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile

from audiomtl.data import audio, files, index
from audiomtl.errors import UserError


class Finding(NamedTuple):
    """One oddity of a recording."""

    kind: str  # one of `KINDS`
    text: str  # with its numbers, to be read after the clip's name


KINDS = {
    "unreadable": "the file cannot be read",
    "end": "whether the end is missing cannot be told",
    "silence": "no sample is above one step of 16 bits",
    "constant": "every sample has one value",
    "offset": "a constant offset, and next to nothing else",
    "antiphase": "the channels cancel when they are averaged",
    "silent_channel": "one channel or more, but not all, is digital silence",
    "clipping": "many samples lie at full scale, in runs",
    "quiet": "the loudest sample is below -60 dB",
    "mostly_silence": "nine tenths or more are below -60 dB",
    "short": "shorter than one window, or than 0.05 s",
}

VERSION = 2  # raise it when another thing is found
STEP = 1 / 32768  # of 16 bits
QUIET = 1e-3  # -60 dB
SHORTEST_SECONDS = 0.05
YAMNET_SECONDS = 0.975  # a patch of YAMNet
NAMED = 10  # how many findings a message names
PIECE_SECONDS = 60  # that are decoded at once
BLOCK_SECONDS = 0.02  # of which the loudest sample is compared with `QUIET`
SILENT_SHARE = 0.9
CANCELLED_DB = -20.0  # the mean of the channels below the channels
OFFSET_DB = -20.0  # what moves below what stands still
CLIPPED_LEVEL = 0.99
CLIPPED_RUN = 3  # samples in a row at the extreme value
CLIPPED_SHARE = 5e-4  # of all samples


def of_waveform(y: np.ndarray, sample_rate: int, *, window_seconds: float = 0.0) -> tuple[Finding, ...]:
    """What is odd about a waveform.

    Parameters
    ----------
    y : (n_samples,) or (n_samples, channels), floats, at least one sample
    sample_rate : Hz
    window_seconds : length of the window that a model cuts; 0 where there is none

    Returns
    -------
    findings, in the order of `KINDS`; () where nothing is odd
    """
    measured = _Measured(sample_rate)
    measured.add(y[:, None] if y.ndim == 1 else y)
    short = _short(len(y) / sample_rate, window_seconds)
    return (*measured.findings(), *([short] if short else []))


def of_file(path: str, *, window_seconds: float = 0.0) -> tuple[Finding, ...]:
    """What is odd about a recording; a file that cannot be read is a finding as well."""
    return _told([path], None, window_seconds)[0]


def findings(table: pd.DataFrame, *, window_seconds: float = 0.0) -> list[tuple[str, Finding]]:
    """What is odd about the recordings of a clip table.

    Every recording is decoded the first time, and looked up in an index from then on.

    Parameters
    ----------
    table : as `catalog.clips` returns it; without a column ``path``, or with files that are no recordings
        (``array_path``), nothing is looked at.
    window_seconds : length of the window that the model cuts; 0 where there is none

    Returns
    -------
    (clip_id, finding) in the order of the table, a clip as often as it has findings
    """
    if "path" not in table.columns or {"array_path", "embedding_path"} & set(table.columns):
        return []
    told = _told(table["path"].tolist(), table.attrs.get(index.INDEX), window_seconds)
    clips = zip(table["clip_id"].tolist(), told, strict=True)
    return [(clip, finding) for clip, some in clips for finding in some]


def applied(table: pd.DataFrame, policy: str) -> pd.DataFrame:
    """The clip table under ``data.on_odd``.

    Parameters
    ----------
    policy : "ignore" (nothing is decoded), "warn" (print a line), "skip" (leave the clips out, print a line
        and count them by kind in ``attrs["left_out"]``) or "error"

    Raises
    ------
    UserError : with "error", clips are odd; with "skip", all are.
    """
    found = findings(table) if policy != "ignore" else []
    if not found:
        return table
    clips = {clip: finding.kind for clip, finding in reversed(found)}  # the first kind of each
    named = "; ".join(f"{clip}: {finding.text}" for clip, finding in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    text = f"{len(clips)} of {len(table)} clips are odd: {named}{more}"
    if policy == "error" or (policy == "skip" and len(clips) == len(table)):
        raise UserError(f'data.on_odd = "{policy}": {text}; replace them, or set on_odd to "warn"')
    print(f"left out: {text}" if policy == "skip" else text, flush=True)
    if policy == "warn":
        return table
    kept = table[~table["clip_id"].isin(list(clips))].reset_index(drop=True)
    kept.attrs = table.attrs | {"left_out": table.attrs.get("left_out", {}) | dict(Counter(clips.values()))}
    return kept


def window_seconds(settings: Any) -> float:
    """Length of the window that a family cuts, by its settings: what is shorter is padded. 0 where none is.

    Parameters
    ----------
    settings : of an experiment of any family
    """
    if windows := getattr(settings, "windows", None):
        return float(windows.seconds)
    if extractor := getattr(settings, "extractor", None):
        return YAMNET_SECONDS if extractor.kind == "yamnet" else float(extractor.patch_seconds or 0.0)
    features = getattr(settings, "features", None)
    return float(features.window_seconds) if features else 0.0


def _told(paths: Sequence[str], name: str | None, window_seconds: float) -> list[tuple[Finding, ...]]:
    version = f"{soundfile.__version__} {soundfile.__libsndfile_version__}"
    decoder = files.Decoder(f"odd {VERSION}.{audio.LENGTHS} {version}", _heard)
    place = index.index_place(f"{name}-odd") if name else None
    known = files.examine(paths, decoder=decoder, place=place)
    told: list[tuple[Finding, ...]] = []
    for path, exists, seconds, fault, remarks in zip(
        paths, known.exists.tolist(), known.lengths, known.faults, known.remarks, strict=True
    ):
        if fault or not exists:
            told.append((Finding("unreadable", fault.removeprefix(f"{path}: ") or "no such file"),))
            continue
        some = [Finding(*pair) for pair in json.loads(remarks or "[]")]
        short = _short(seconds, window_seconds)
        told.append((*some, *([short] if short else [])))
    return told


def _heard(path: str) -> tuple[float, str]:
    """Seconds of a recording, and its findings as JSON, less those that depend on a window."""
    with audio.opened(path) as sound:
        sound.refuse_empty()
        measured = _Measured(sound.sample_rate)
        length = PIECE_SECONDS * sound.sample_rate
        for first in range(0, sound.frames, length):
            for part in sound.parts(min(length, sound.frames - first)):
                measured.add(part)
        remarks = [Finding("end", remark) for remark in sound.remarks]
        found = [*remarks, *measured.findings()]
        return sound.frames / sound.sample_rate, json.dumps(found) if found else ""


def _short(seconds: float, window_seconds: float) -> Finding | None:
    if seconds < window_seconds:
        return Finding("short", f"lasts {seconds:.6g} s, less than one window of {window_seconds:g} s")
    if seconds < SHORTEST_SECONDS:
        return Finding("short", f"lasts {seconds:.6g} s, less than {SHORTEST_SECONDS:g} s")
    return None


class _Measured:
    """Levels of a recording that comes in pieces."""

    def __init__(self, sample_rate: int) -> None:
        self.block = max(1, round(BLOCK_SECONDS * sample_rate))
        self.samples, self.values = 0, 0
        self.lowest, self.highest, self.peak = np.inf, -np.inf, 0.0
        self.differs = False  # within a channel
        self.first: np.ndarray | None = None
        self.peaks: np.ndarray | None = None  # (channels,) of each channel
        self.sum, self.squares, self.apart = 0.0, 0.0, 0.0  # of the mean of the channels, of the channels
        self.blocks, self.silent, self.clipped = 0, 0, 0

    def add(self, channels: np.ndarray) -> None:  # (n_samples, channels)
        mono = channels.mean(axis=1, dtype=np.float64)  # (n_samples,)
        first = channels[0] if self.first is None else self.first
        self.first = first
        self.differs = self.differs or first.shape != channels[0].shape or bool((channels != first).any())
        peaks = np.abs(channels).max(axis=0)  # (channels,)
        known = peaks if self.peaks is None or self.peaks.shape != peaks.shape else self.peaks
        self.peaks = np.maximum(known, peaks)
        self.samples += len(mono)
        self.values += channels.size
        self.lowest, self.highest = min(self.lowest, channels.min()), max(self.highest, channels.max())
        self.sum += float(mono.sum())
        self.squares += float(np.square(mono).sum())
        self.apart += float(np.square(channels, dtype=np.float64).sum())
        loudest = np.maximum.reduceat(np.abs(mono), np.arange(0, len(mono), self.block))
        self.peak = max(self.peak, float(loudest.max()))
        self.blocks += len(loudest)
        self.silent += int((loudest < QUIET).sum())
        self.clipped += sum(_in_runs(channels[:, number]) for number in range(channels.shape[1]))

    def findings(self) -> list[Finding]:
        loudest = max(-self.lowest, self.highest)
        if not np.isfinite(loudest):
            return [Finding("unreadable", "contains samples that are not finite (NaN or infinity)")]
        if self.peak > audio.LARGEST_PEAK:
            return [Finding("unreadable", f"samples reach {self.peak:.6g}, but full scale is 1.0")]
        if loudest <= STEP:
            return [Finding("silence", "digital silence: no sample is above 1/32768 of full scale")]
        mean = self.sum / self.samples
        if not self.differs:
            return [Finding("constant", f"every sample is {mean:.4g}")]
        found = []
        power = self.squares / self.samples
        moving = _decibels(np.sqrt(max(0.0, power - mean**2)), abs(mean)) if mean else np.inf
        if moving < OFFSET_DB and abs(mean) > STEP:
            words = f"a constant offset of {mean:.3g}; the rest is {-moving:.0f} dB below it"
            found.append(Finding("offset", words))
        left = _decibels(np.sqrt(power), np.sqrt(self.apart / self.values))
        if cancelled := left < CANCELLED_DB:
            words = "is digital silence" if left == -np.inf else f"is {-left:.0f} dB below them"
            found.append(Finding("antiphase", f"channels in antiphase: their mean, which is read, {words}"))
        if silent := self._silent_channels():
            found.append(Finding("silent_channel", silent))
        if (share := self.clipped / self.values) > CLIPPED_SHARE:
            words = f"clipped: {share:.2%} of its samples lie in runs at full scale"
            found.append(Finding("clipping", words))
        if self.peak < QUIET:
            if not cancelled:
                words = f"the loudest sample is at {_decibels(self.peak, 1.0):.0f} dB"
                found.append(Finding("quiet", words))
        elif (quiet := self.silent / self.blocks) >= SILENT_SHARE:
            found.append(Finding("mostly_silence", f"{quiet:.0%} of it is below -60 dB"))
        return found

    def _silent_channels(self) -> str:
        """Which channels are digital silence, where others are not; "" otherwise."""
        assert self.peaks is not None
        silent = np.flatnonzero(self.peaks <= STEP) + 1
        if not len(silent):
            return ""
        numbers = " and ".join(map(str, silent))
        which = f"channel {numbers}" if len(silent) == 1 else f"channels {numbers}"
        return (
            f"{which} of {len(self.peaks)} {'is' if len(silent) == 1 else 'are'} digital silence: the mean of"
            " the channels, which is read, is quieter for it"
        )


def _in_runs(y: np.ndarray) -> int:
    """Samples near full scale, in runs of one value: of (n_samples,)."""
    level = np.minimum(np.abs(y), 1.0)
    high = level >= CLIPPED_LEVEL
    if not high.any():
        return 0
    flat = high[1:] & (np.sign(y[1:]) * level[1:] == np.sign(y[:-1]) * level[:-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2] + 1
    return int(lengths[lengths >= CLIPPED_RUN].sum())


def _decibels(level: float, reference: float) -> float:
    return float(20 * np.log10(level / reference)) if level > 0 else -np.inf
