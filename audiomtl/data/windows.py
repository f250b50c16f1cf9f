"""Windows as views: where the windows of a clip start, in stored frames, and the frames themselves.

Conventions: a clip is (n_frames, n_bands); a window is ``window_frames`` of its frames. Starts are whole
frames: the exact start ``k * hop`` in samples, rounded down to the frame grid; the time of a start is
`features.frame_times` of it. Nothing is extracted here: another window length or hop reads the same stored
frames.

Contents: `window_frames`, `starts`, `cut`.
"""

import math

import numpy as np

from audiomtl.settings.shared import Features
from audiomtl.settings.windows import Windows


def window_frames(windows: Windows, features: Features) -> int:
    """Frames of one window: 5 s at 22.05 kHz and hop 512 are ceil(215.3) = 216."""
    # 1e-6 of a frame: 5.12 s that no float holds exactly are not one frame more
    return max(1, math.ceil(features.frames(windows.seconds) - 1e-6))


def starts(n_frames: int, windows: Windows, features: Features) -> np.ndarray:
    """First frame of each window of a clip.

    Parameters
    ----------
    n_frames : frames of the clip.
    windows : ``tail`` says what becomes of frames behind the last whole window: ``pad`` starts one more
        window there, which `cut` fills up; ``shift`` starts it earlier, so that it ends at the end; ``drop``
        leaves it out.

    Returns
    -------
    np.ndarray (n_windows,) int64, increasing. A clip shorter than one window has one window, which is filled
    up; with ``drop`` none.
    """
    length = window_frames(windows, features)
    if n_frames < length:
        return np.zeros(0 if windows.tail == "drop" or n_frames < 1 else 1, np.int64)
    hop = features.frames(windows.seconds * windows.hop_share)  # in frames, not whole
    if hop < 1:
        hop = 1.0
    count = int((n_frames - length) / hop + 1e-6) + 1
    while math.floor(count * hop + 1e-6) + length <= n_frames:  # rounding down may leave room for one more
        count += 1
    whole = np.floor(np.arange(count) * hop + 1e-6).astype(np.int64)
    following = math.floor(count * hop + 1e-6)
    if windows.tail == "drop" or whole[-1] + length == n_frames or following >= n_frames:
        return whole
    return np.append(whole, following if windows.tail == "pad" else n_frames - length)


def cut(frames: np.ndarray, first: np.ndarray, length: int) -> np.ndarray:
    """The windows of a clip.

    Parameters
    ----------
    frames : (n_frames, n_bands)
    first : (n_windows,) first frame of each.
    length : frames of a window. What lies behind the end of the clip is filled with each band's least value
        in the clip: near to silence for every kind of feature.

    Returns
    -------
    np.ndarray (n_windows, length, n_bands)
    """
    missing = int(first.max(initial=0)) + length - len(frames)
    if missing > 0:
        frames = np.concatenate([frames, np.broadcast_to(frames.min(axis=0), (missing, frames.shape[1]))])
    # (n_frames - length + 1, n_bands, length)
    views = np.lib.stride_tricks.sliding_window_view(frames, length, axis=0)
    return views[first].transpose(0, 2, 1)
