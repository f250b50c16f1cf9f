"""Long sound files in blocks: constant memory, whatever their length.

Contents: `blocks`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from audiomtl.data import audio


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
