"""``[encoder]`` of multi-task learning. Contents: `Encoder`."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from audiomtl.settings.table import Count, NotNegative, Share, Table, used_when

Two = Annotated[tuple[Count, Count], Strict(False)]


class Encoder(Table):
    """From features to one vector a step. One flat table: keys that the kind does not use may be left out.

    =========== ==========================================================================================
    article     two convolutions of frames and bands, then dense layers step by step
    recurrent   the same convolutions, then a bidirectional LSTM
    transformer the same convolutions, then two blocks of self-attention
    harmonic    convolutions of frames and keys over each key's overtones, and beside them a bidirectional
                LSTM over the bands
    =========== ==========================================================================================
    """

    kind: Literal["article", "recurrent", "transformer", "harmonic"] = Field(
        description="Encoder from features to one vector per step."
    )
    filters: Two = Field(description="Filters of the two convolutions.")
    pool_frames: Two = Field(
        description="Pooling factors of the two convolutions over frames; a step is their product of frames."
    )
    pool_bands: Two = used_when(
        {"kind": ("article", "recurrent", "transformer")},
        description="Pooling factors of the two convolutions over bands.",
    )
    units: Count = used_when(
        {"kind": ("recurrent", "transformer", "harmonic")},
        description="Units per direction of the LSTM (recurrent, harmonic), or size of a step (transformer).",
    )
    dropout: Share = Field(description="Dropout rate before the heads, in [0, 1).")
    noise: NotNegative = Field(
        description="Standard deviation of Gaussian noise added to scaled features in training; 0 adds none."
    )
    shift_bands: Annotated[int, Field(ge=0)] = used_when(
        {"kind": "harmonic"},
        description=(
            "Largest random shift of the LSTM's input up or down in training, in bands; 0 turns shifting off."
        ),
    )
