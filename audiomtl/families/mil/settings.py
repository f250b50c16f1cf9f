"""Settings of multiple-instance learning (``models/mil.py``): a clip's label from its windows."""

from typing import Literal, Self

from pydantic import model_validator

from audiomtl.settings.clips import Data, Protocol, Windows
from audiomtl.settings.pooling import Pooling
from audiomtl.settings.shared import Count, Experiment, Features, Optimizer, Share, Table, Training


class Network(Table):
    """One network for every window, a softmax over classes at its end."""

    window: Literal["answer", "residual", "statistics", "embedding"]
    filters: Count  # residual: of its first block, doubled in the next two
    hidden: Count  # units of the dense layers
    dropout: Share  # before the softmax
    batch_normalization: bool  # after each convolution (answer) and hidden layer (statistics); residual always has it
    loss: Literal["clip", "window"]  # on the pooled answer, or on each window as if it had the clip's label


class Settings(Experiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    data: Data
    protocol: Protocol
    features: Features
    windows: Windows
    network: Network
    pooling: Pooling
    optimizer: Optimizer
    training: Training

    @model_validator(mode="after")
    def _blocks_have_numbers(self) -> Self:
        sizes = len(self.protocol.test_values), len(self.protocol.validation_values)
        if self.protocol.kind == "blocks" and (sizes != (len(self.data.groups),) * 2 or not sizes[0]):
            raise ValueError(
                f"protocol.test_values and validation_values need one number for each of data.groups = {list(self.data.groups)}, "
                f"but have {sizes[0]} and {sizes[1]}"
            )
        if self.protocol.kind == "leave_one_out" and not self.data.groups:
            raise ValueError("protocol.kind = leave_one_out leaves out values of the first of data.groups, but there is none")
        return self


LOSS_PATHS = ("network.loss",)  # settings that change what the loss means: no study that sweeps one is judged by a loss
SCORES = {"accuracy": "maximize", "balanced_accuracy": "maximize"}  # what is recorded and reported; the first decides
# further columns of the tables of ablations
BESIDE = (
    "window_accuracy",
    "evidence_weight_auc",
    "evidence_weight_precision",
    "evidence_probability_auc",
    "evidence_probability_precision",
)
