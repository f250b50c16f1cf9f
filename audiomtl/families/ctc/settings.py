"""Settings of the CTC family (``models/ctc.py``): sound to phones, with or without phone times."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.augmentation import Sequences, check_bands
from audiomtl.settings.clips import ClipExperiment
from audiomtl.settings.decoding import Decoding
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import (
    ABOVE_0,
    Count,
    Integers,
    NotNegative,
    Positive,
    Share,
    Table,
    used_when,
)
from audiomtl.settings.text import Text
from audiomtl.settings.validation import nearest


class Network(Table):
    """Optional convolution, then bidirectional recurrent layers, then one softmax over blank and phones."""

    objective: Literal["ctc", "frames", "frames_then_ctc"] = Field(
        description="Objective: CTC, frame-wise phone labels, or first frame-wise labels and then CTC."
    )
    frames_share: Annotated[float, Field(gt=0, lt=1)] = used_when(
        {"objective": "frames_then_ctc"},
        description="Fraction of the epochs that train on phone times first, in (0, 1).",
    )
    cell: Literal["lstm", "gru"] = Field(description="Recurrent cell.")
    units: Annotated[Integers, Field(min_length=1)] = Field(
        description="Units per direction of each bidirectional recurrent layer, one number per layer."
    )
    dropout: Share = Field(description="Dropout rate on the input of each recurrent layer, in [0, 1).")
    layer_normalization: bool = Field(
        description="Whether each recurrent layer is followed by layer normalization."
    )
    convolution_filters: Annotated[int, Field(ge=0)] = Field(
        description="Filters of a convolution before the recurrent layers; 0 leaves it out."
    )
    convolution_frames: Count = used_when(
        {"convolution_filters": ABOVE_0}, description="Kernel length of the convolution, in frames."
    )
    time_reduction: Count = Field(
        description="Stride of the convolution, in frames; 1 without a convolution."
    )
    batch_normalization: bool = Field(
        False,
        description=(
            "Whether each band of the input is normalized over the frames of a batch, in the place of"
            " features.scaling or beside it. Default false."
        ),
    )
    frames_weight: NotNegative = Field(
        0.0,
        description=(
            "Weight of a frame-wise loss beside CTC, from an output of its own that only training has, on the"
            " clips with phone times. Default 0: none."
        ),
    )
    infeasible: Literal["error", "drop"] = Field(
        description=(
            "What to do about clips with more phones than network frames: stop, or drop them and count them."
        )
    )
    unseen: Literal["error", "count"] = Field(
        "error",
        description=(
            "What to do about phones of validation or test that no train clip has: stop, or count each as an"
            ' error of the model. Default "error".'
        ),
    )
    untranscribed: Literal["error", "drop"] = Field(
        "error",
        description=(
            'What to do about clips without a transcript: stop, or drop them and count them. Default "error".'
        ),
    )

    @model_validator(mode="after")
    def _reduction_needs_convolution(self) -> Self:
        if self.time_reduction > 1 and not self.convolution_filters:
            raise ValueError(
                "time_reduction is the stride of the convolution: with convolution_filters = 0 it must be 1,"
                f" but got {self.time_reduction}"
            )
        return self


class Curriculum(Table):
    """Which clips the first epochs train on."""

    kind: Literal["none", "short_first", "fragments"] = Field(
        description=(
            "What the first epochs train on: clips in a random order (none), from the shortest to the longest"
            " (short_first), or pieces of clips, cut at phone times (fragments)."
        )
    )
    epochs: Count = used_when(
        {"kind": ("short_first", "fragments")}, description="Number of the first epochs that it changes."
    )
    fragment_seconds: Positive = used_when(
        {"kind": "fragments"},
        description="Shortest piece, in seconds; it ends at the next onset of a phone.",
    )


# boundaries are those of an alignment, where times are known
EVERY_SCORE = (
    *("phone_error_rate", "frame_accuracy", "loss", "blank_share"),
    *("greedy_error_rate", "confidence_error"),
    *("boundary_mean_ms", "boundary_median_ms"),
    *("boundary_within_10_ms", "boundary_within_20_ms", "boundary_within_50_ms"),
)


class Settings(ClipExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    text: Text | None = Field(
        None, description="How transcripts become phones; left out for a clip table with phones."
    )
    scores: Annotated[dict[str, Literal["maximize", "minimize"]], Field(min_length=1)] | None = Field(
        None,
        description=(
            "Recorded and reported scores with their direction, the first is the main score; left out for"
            " phone_error_rate and frame_accuracy."
        ),
    )
    features: Features = Field(description="Features of the sound.")
    augmentation: Sequences = Field(None, description="Random changes of train clips; left out for none.")
    curriculum: Curriculum | None = Field(
        None, description="Which clips the first epochs train on; left out for all, in a random order."
    )
    network: Network = Field(description="The network.")
    optimizer: Optimizer = Field(description="How it is optimized.")
    training: Training = Field(description="How long it is trained.")
    decoding: Decoding | None = Field(
        None, description="How the trained network is read; left out for each step by itself (greedy)."
    )

    @model_validator(mode="after")
    def _scores_exist(self) -> Self:
        for score in self.scores or ():
            if score not in EVERY_SCORE:
                raise ValueError(
                    f'scores: "{score}" is not a score of this family{nearest(score, EVERY_SCORE)};'
                    f" available: {', '.join(EVERY_SCORE)}"
                )
        return self

    @model_validator(mode="after")
    def _augmentation_fits(self) -> Self:
        check_bands(self.augmentation, self.features)
        return self

    @model_validator(mode="after")
    def _decoder_suits_the_objective(self) -> Self:
        method = self.decoding.method if self.decoding else "greedy"
        fitting = ("greedy", "beam", *(["viterbi"] if self.network.objective == "frames" else []))
        if method not in fitting:
            raise ValueError(
                f'decoding.method = "{method}": network.objective = "{self.network.objective}" is read by'
                f" {' or '.join(fitting)}"
            )
        return self

    @model_validator(mode="after")
    def _an_epoch_of_each(self) -> Self:
        if self.network.objective == "frames_then_ctc" and self.training.epochs < 2:
            raise ValueError(f"frames_then_ctc needs training.epochs >= 2, but got {self.training.epochs}")
        return self


# settings that change what the loss means: no study that sweeps one is judged by a loss
LOSS_PATHS = ("network.objective",)
# what is recorded and reported; the first decides
SCORES = {
    "phone_error_rate": "minimize",
    "frame_accuracy": "maximize",
}
# columns of `predictions` whose sums make up a score (`harness.clip_counts`)
PER_CLIP = {"phone_error_rate": ("edits", "phones")}
# printed beside them where there are some, never recorded
BESIDE = (
    *("phone_error_rate_with_pauses", "greedy_error_rate", "confidence_error"),
    *("boundary_median_ms", "boundary_within_20_ms"),
)
# lines of the report, where it shows these scores
NOTES = {
    "copied_transcript_error_rate": (
        "The copied transcript is another speaker's of the same sentence: the score of a system that"
        " ignores the sound"
    ),
    "phone_error_rate": "Phone error rates leave out pauses in reference and prediction",
}
