"""Settings of windows (``data/windows.py``)."""

from typing import Annotated, Literal

from pydantic import Field

from audiomtl.settings.table import Positive, Table


class Windows(Table):
    """How a clip becomes a bag of windows: views of stored frames, starts snapped to the frame grid."""

    seconds: Positive
    hop_share: Annotated[float, Field(gt=0, le=1)]  # of the window: 0.5 is 50 % overlap
    tail: Literal["pad", "drop", "shift"]  # what does not fill a last window: fill it up, leave it out, or end the last window at the end
    bag_windows: Annotated[int, Field(ge=0)]  # windows drawn from each clip in each epoch of training; 0: all
