"""Settings of multiple-instance learning (``models/mil.py``): a clip's label from its windows."""

from typing import Literal

from pydantic import Field

from audiomtl.settings.clips import LabelledExperiment
from audiomtl.settings.pooling import Pooling
from audiomtl.settings.protocol import Protocol
from audiomtl.settings.shared import Features, Optimizer, Training
from audiomtl.settings.table import Count, Share, Table
from audiomtl.settings.windows import Windows


class WindowProtocol(Protocol):
    """How clips, or to show what that would report their windows, are divided."""

    leaky: bool = Field(
        description="Whether windows rather than clips are divided, so that clips occur in several splits. Never report such a score."
    )


class Network(Table):
    """One network for every window, a softmax over classes at its end."""

    window: Literal["answer", "residual", "statistics", "embedding"]
    filters: Count  # residual: of its first block, doubled in the next two
    hidden: Count  # units of the dense layers
    dropout: Share  # before the softmax
    batch_normalization: bool  # after each convolution (answer) and hidden layer (statistics); residual always has it
    loss: Literal["clip", "window"]  # on the pooled answer, or on each window as if it had the clip's label


class Settings(LabelledExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    protocol: WindowProtocol
    features: Features
    windows: Windows
    network: Network
    pooling: Pooling
    optimizer: Optimizer
    training: Training


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
