"""Settings of windows (``data/windows.py``)."""

from typing import Annotated, Literal

from pydantic import Field

from audiomtl.settings.table import Positive, Table


class Windows(Table):
    """How a clip becomes a bag of windows: views of stored frames, starts snapped to the frame grid."""

    seconds: Positive = Field(description="Length of a window, in seconds.")
    hop_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description=(
            "Distance between the starts of neighbouring windows as a fraction of their length, in (0, 1];"
            " 0.5 is 50 % overlap."
        )
    )
    tail: Literal["pad", "drop", "shift"] = Field(
        description=(
            "What becomes of a remainder shorter than a window: pad it, drop it, or shift the last window"
            " back to the clip's end."
        )
    )
    bag_windows: Annotated[int, Field(ge=0)] = Field(
        description="Windows drawn from each clip in each epoch of training; 0 takes all."
    )
