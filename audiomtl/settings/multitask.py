"""Settings of multi-task learning (``models/multitask.py``): one encoder, any set of heads."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.settings.clips import Data, Protocol
from audiomtl.settings.shared import Count, Experiment, Features, NotNegative, Optimizer, Positive, Share, Table, Training


class Encoder(Table):
    """From features to one vector every 16 frames."""

    kind: Literal["article", "recurrent"]  # the article's trunk step by step, or two convolutions and a bidirectional LSTM
    units: Count  # recurrent: of each direction
    dropout: Share  # before the heads


class Head(Table):
    """``[heads.NAME]``: one task."""

    kind: Literal["clip_class", "segments"]  # the clip's class; which class is heard when (needs a column passages)
    weight: NotNegative  # of its loss, before balancing; 0: the task is not trained
    train_only: bool  # auxiliary: helps the training and is not saved
    labelled_share: Annotated[float, Field(gt=0, le=1)]  # of the train clips that keep this label; the others lack it


class Balancing(Table):
    """How the losses become one step (``nn/balancing.py``). One flat table: keys that the method does not use have no effect."""

    method: Literal[
        "fixed",
        "uncertainty",
        "dynamic_weight_average",
        "random",
        "geometric",
        "gradnorm",
        "pcgrad",
        "cagrad",
        "mgda",
        "imtl",
    ]
    temperature: Positive  # dynamic_weight_average
    asymmetry: NotNegative  # gradnorm
    rate: Positive  # gradnorm: of its weights
    caution: Share  # cagrad


class Settings(Experiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    data: Data
    protocol: Protocol
    features: Features
    encoder: Encoder
    heads: dict[str, Head]
    balancing: Balancing
    optimizer: Optimizer
    training: Training

    @model_validator(mode="after")
    def _heads_make_sense(self) -> Self:
        if not any(head.weight for head in self.heads.values()):
            raise ValueError("heads: at least one head must have a weight above 0, or nothing is trained")
        kinds = [head.kind for head in self.heads.values()]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"heads: one of each kind at most, but got {', '.join(sorted(kinds))}")
        if "clip_class" not in kinds:
            raise ValueError("heads: one of kind clip_class is needed, whose score the experiment is judged by")
        if self.protocol.leaky:
            raise ValueError("protocol.leaky deals windows to the sides, but this family has whole clips only: set it to false")
        return self


LOSS_PATHS = ("balancing.method", "heads.event.weight", "heads.activity.weight")  # settings that change what the loss means
SCORES = {"accuracy": "maximize", "segment_f1": "maximize"}  # what is recorded and reported; the first decides
BESIDE = ("segment_f1", "event_loss", "activity_loss")  # further columns of the tables of ablations
