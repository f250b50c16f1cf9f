"""Long sound files in blocks, and features of a waveform that comes in blocks: constant memory, whatever
their length.

Contents: `blocks`, `frame_parts`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from audiomtl.data import audio, features
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features


def blocks(path: str | Path, *, sample_rate: int, samples: int) -> Iterator[np.ndarray]:
    """The waveform of a file in blocks of ``samples`` at ``sample_rate``, mono, float32 in [-1, 1]; the last
    one may be shorter.

    The blocks joined are what `audio.load` gives, to the resampler's last digits.

    Raises
    ------
    UserError : the file is missing, no sound, empty, cut off, or has samples that are not finite or beyond
        twice full scale.
    """
    with audio.opened(path) as sound:
        sound.refuse_empty()
        rate, left = sound.sample_rate, sound.frames
        resampler = (
            soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
            if rate != sample_rate
            else None
        )
        total = max(1, (2 * sound.frames * sample_rate + rate) // (2 * rate))  # as `audio.load` rounds
        waiting, given = np.empty(0, np.float32), 0
        while left:
            some = sound.read(min(left, max(1, samples * rate // sample_rate)))
            left -= len(some)
            part = resampler.resample_chunk(some, last=not left) if resampler else some
            waiting = np.concatenate([waiting, np.clip(part, -1.0, 1.0)])
            if not left:  # the resampler's tail may be a sample more or less
                waiting = waiting[: total - given]
                waiting = np.pad(waiting, (0, max(0, total - given - len(waiting))))
            while len(waiting) >= samples or (not left and len(waiting)):
                yield waiting[:samples]
                given += len(waiting[:samples])
                waiting = waiting[samples:]


def frame_parts(blocks: Iterator[np.ndarray], settings: Features, count: int) -> Iterator[np.ndarray]:
    """Features of a waveform that comes in blocks, ``count`` frames at a time: what `features.extract` gives
    of the whole, to the last bits of a float32.

    Raises
    ------
    UserError : columns of ``settings.also``, which see beyond a part, or features normalised by a group.
    """
    if settings.also or bool(getattr(settings, "normalize_by", "")):
        raise UserError(
            "features.also and features.normalize_by need the whole recording: this model cannot read it in"
            " parts; cut it into shorter files, and leave out --stream"
        )
    hop, window = settings.hop_samples, settings.window_samples
    before = (
        settings.n_fft // 2 - (settings.n_fft - window) // 2
    )  # samples that a frame sees before its centre
    lead = -(-before // hop)  # frames
    held, origin, done, total = np.zeros(0, np.float32), 0, 0, 0

    def extracted(end: int) -> np.ndarray:
        """Frames ``done`` to ``end`` of what is held."""
        first = max(0, done - lead)
        samples = held[first * hop - origin : (end - 1) * hop + window - before - origin]
        return features.extract(samples, settings)[done - first : end - first]

    for block in blocks:
        held, total = np.concatenate([held, block]), total + len(block)
        while (done + count - 1) * hop + window - before <= total:
            yield extracted(done + count)
            done += count
            drop = max(0, (done - lead) * hop - origin)
            held, origin = held[drop:], origin + drop
    frames = features.n_frames(total, settings) if total else 0
    while done < frames:
        end = min(frames, done + count)
        yield extracted(end)
        done = end
