"""Settings of the CTC family (``models/ctc.py``): sound to phones, with or without phone times."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.clips import ClipExperiment
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import Count, Integers, Share, Table


class Network(Table):
    """Optional convolution, then bidirectional recurrent layers, then one softmax over blank and phones."""

    objective: Literal["ctc", "frames", "frames_then_ctc"]
    frames_share: Annotated[float, Field(gt=0, lt=1)]  # frames_then_ctc: share of the epochs that train on phone times first
    cell: Literal["lstm", "gru"]
    units: Annotated[Integers, Field(min_length=1)]  # one recurrent layer each, per direction
    dropout: Share
    layer_normalization: bool
    convolution_filters: Annotated[int, Field(ge=0)]  # 0: no convolution
    convolution_frames: Count  # kernel length
    time_reduction: Count  # stride of the convolution; without a convolution 1
    infeasible: Literal["error", "drop"]  # clips with more phones (and repeats) than frames

    @model_validator(mode="after")
    def _reduction_needs_convolution(self) -> Self:
        if self.time_reduction > 1 and not self.convolution_filters:
            raise ValueError(
                f"time_reduction is the stride of the convolution: with convolution_filters = 0 it must be 1, but got {self.time_reduction}"
            )
        return self


class Settings(ClipExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    features: Features
    network: Network
    optimizer: Optimizer
    training: Training

    @model_validator(mode="after")
    def _an_epoch_of_each(self) -> Self:
        if self.network.objective == "frames_then_ctc" and self.training.epochs < 2:
            raise ValueError(f"frames_then_ctc needs training.epochs >= 2, but got {self.training.epochs}")
        return self


LOSS_PATHS = ("network.objective",)  # settings that change what the loss means: no study that sweeps one is judged by a loss
SCORES = {"phone_error_rate": "minimize", "frame_accuracy": "maximize"}  # what is recorded and reported; the first decides
