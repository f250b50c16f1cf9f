"""Settings of multi-task learning (``models/multitask.py``): one encoder, optional inputs, any set of
heads.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from audiomtl.families.multitask import heads
from audiomtl.families.multitask.encoder_settings import Encoder
from audiomtl.settings.augmentation import Clips, check_bands, check_heads
from audiomtl.settings.clips import ClipExperiment
from audiomtl.settings.decoding import Decoding
from audiomtl.settings.named import FileIn
from audiomtl.settings.shared import GroupFeatures, Optimizer, Training
from audiomtl.settings.table import NotNegative, Positive, Share, Table, used_when
from audiomtl.settings.text import Text
from audiomtl.settings.validation import nearest


class Inputs(Table):
    """Inputs of the network. A column that is also the target of a head is rejected."""

    audio: bool = Field(description="Whether the encoder reads the features of the recording.")
    text: str = Field(
        "", description='Column of the phones to align, for heads of kind alignment; "" for none. Default "".'
    )
    score: str = Field(
        "", description='Column of notes that the encoder reads as a piano roll; "" for none. Default "".'
    )
    allow_leak: bool = Field(
        False,
        description=(
            "Whether a target may be among the inputs; only to show the effect of such a leak. Default false."
        ),
    )


class Head(Table):
    """``[heads.NAME]``: one task. One flat table: keys that the kind does not use may be left out.

    ========== ==========================================================================================
    alignment  which phone of ``inputs.text`` is heard in each step; decoded in order
    phones     which phone of the train side is heard in each step
    ctc        phones in order, of clips without phone times
    melody     which of 88 keys is sung in each step, or none; one at a time
    notes      which of 88 keys begin in each step, and which are held
    mel        features of another recording: the clean voice of a mix (``column = "vocals_path"``)
    clip_class the clip's class; ``column = ""`` is data.label
    tags       any number of classes of the clip; ``column = ""`` is data.label, with data.labels = "several"
    segments   which of the classes of data.label is heard in each step (``passages``)
    value      a number of the clip
    ========== ==========================================================================================
    """

    kind: Annotated[str, FileIn(heads.__name__)] = Field(description="What the head learns.")
    column: str = Field(
        "",
        description=(
            'Column of the clip table that the head learns; "" takes that of its kind, for clip_class'
            ' data.label. Default "".'
        ),
    )
    weight: NotNegative = Field(
        description="Weight of the head's loss before balancing; a head with weight 0 is not trained."
    )
    train_only: bool = Field(
        False, description="Whether the head only helps the training and is not saved. Default false."
    )
    labelled_share: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Fraction of the train clips that keep this label, in (0, 1]. Default 1."
    )
    item_weight: str = Field(
        "",
        description=(
            'Column of each train clip\'s weight in this loss, a number of at least 0; "" weights all'
            ' equally. Default "".'
        ),
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description=(
            "For clip_class and tags: whether every class has the same part in the loss (balanced), or every"
            ' clip (none). Default "none".'
        ),
    )
    sees: Literal["encoder", "also", "both"] = Field(
        "encoder",
        description=(
            "What kind clip_class reads: the encoder's steps (encoder); these, and mean and deviation of each"
            ' feature (both); medians of columns of features.also, such as pitch (also). Default "encoder".'
        ),
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] = used_when(
        {"kind": ("notes", "segments")}, description="Minimum score of a note or a segment, in (0, 1)."
    )

    @model_validator(mode="after")
    def _classes_to_weight(self) -> Self:
        if self.class_weights == "balanced" and self.kind not in ("clip_class", "tags"):
            raise ValueError(
                'class_weights = "balanced" is for heads of kind clip_class or tags, but kind ='
                f' "{self.kind}"; remove it'
            )
        return self

    def reads(self, label: str) -> str:
        """The column that this head learns."""
        column = self.column or self.about.column
        return label if column == heads.LABEL else column

    @property
    def about(self) -> heads.About:
        return heads.kind(self.kind).ABOUT


class Coupling(Table):
    """A loss between two outputs, whatever their labels: the clip's class should be what its segments
    say, pooled.
    """

    clip_class: str = Field(
        description="Head of kind clip_class whose output should agree with the pooled segments."
    )
    segments: str = Field(description="Head of kind segments.")
    weight: NotNegative = Field(description="Weight of this loss, at least 0.")


class Balancing(Table):
    """How the losses become one step (``nn/balancing.py``).

    One flat table: keys that the method does not use may be left out.
    """

    method: Annotated[str, FileIn("audiomtl.families.multitask.balancing")] = Field(
        description="How the losses of the heads become one step."
    )
    temperature: Positive = used_when(
        {"method": "dynamic_weight_average"},
        description="Temperature of the softmax over the losses' rates of change, above 0.",
    )
    asymmetry: NotNegative = used_when(
        {"method": "gradnorm"}, description="Strength alpha that pulls slow tasks up, at least 0."
    )
    rate: Positive = used_when(
        {"method": "gradnorm"}, description="Learning rate of the task weights, above 0."
    )
    c: Share = used_when(
        {"method": "cagrad"}, description="Parameter c of CAGrad, in [0, 1); 0 is the mean gradient."
    )


class Settings(ClipExperiment):
    """A whole experiment file of this family, less ``[expected]`` and ``[ablation]``."""

    scores: Annotated[dict[str, Literal["maximize", "minimize"]], Field(min_length=1)] = Field(
        description="Recorded and reported scores with their direction; the first is the main score."
    )
    train_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description=(
            "Fraction of the train clips, in (0, 1], drawn by the seed; a smaller share is part of a larger"
            " one."
        )
    )
    text: Text | None = Field(
        None, description="How transcripts become phones; left out for a clip table with phones."
    )
    features: GroupFeatures = Field(description="Features of the sound.")
    augmentation: Clips = Field(None, description="Random changes of train clips; left out for none.")
    inputs: Inputs = Field(description="What the network reads.")
    encoder: Encoder = Field(description="From features to steps.")
    heads: dict[str, Head] = Field(description="Tasks, by name.")
    coupling: dict[str, Coupling] = Field(description="Losses between two heads, by name.")
    balancing: Balancing = Field(description="How the losses are combined.")
    decoding: dict[str, Decoding] = Field(
        default_factory=dict, description="How the outputs of heads are read, by the name of the head."
    )
    optimizer: Optimizer = Field(description="How it is optimized.")
    training: Training = Field(description="How long it is trained.")

    @property
    def stride(self) -> int:
        """Frames to a step."""
        return self.encoder.pool_frames[0] * self.encoder.pool_frames[1]

    @property
    def step_seconds(self) -> float:
        return self.features.seconds(self.stride)

    @model_validator(mode="after")
    def _augmentation_fits(self) -> Self:
        check_bands(self.augmentation, self.features)
        beside = [name for name in ("text", "score") if getattr(self.inputs, name)]
        kinds = {name: head.kind for name, head in self.heads.items()}
        check_heads(self.augmentation, kinds, tuple(beside))
        return self

    @model_validator(mode="after")
    def _heads_make_sense(self) -> Self:
        if not any(head.weight for head in self.heads.values()):
            raise ValueError("heads: at least one head must have a weight above 0, or nothing is trained")
        if self.protocol.leaky:
            raise ValueError(
                "protocol.leaky splits by window, but this family uses whole clips only: set it to false"
            )
        if not (self.inputs.audio or self.inputs.score):
            raise ValueError(
                "inputs: the encoder reads audio or score, but audio is false and score is empty"
            )
        if self.encoder.kind == "harmonic" and (
            self.features.kind == "mfcc" or self.features.also or not self.inputs.audio or self.inputs.score
        ):
            raise ValueError(
                'encoder.kind = "harmonic" reads bands of the audio alone: features.kind log_mel, log_stft or'
                " constant_q, no features.also, no inputs.score"
            )
        by, others = self.features.normalize_by, [n for n, h in self.heads.items() if h.about.reads_recording]
        if by and (others or self.encoder.kind == "harmonic"):
            where = (
                f"heads.{others[0]} learns features" if others else 'encoder.kind = "harmonic" reads bands'
            )
            raise ValueError(f'features.normalize_by = "{by}": {where} as they are; set it to ""')
        aligning = [name for name, head in self.heads.items() if head.about.reads_text]
        if bool(aligning) != bool(self.inputs.text):
            raise ValueError(
                f'inputs.text = "{self.inputs.text}" is read by heads of kind alignment, and only by them: '
                + ("name the column of the text to align" if aligning else 'add such a head, or set it to ""')
            )
        if all(head.train_only for head in self.heads.values()):
            raise ValueError(
                "heads: every head is train_only, so nothing would be saved: set it to false for at least one"
                " head"
            )
        for name in [*self.heads, *self.coupling]:
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                raise ValueError(
                    f'"{name}": the name of a head or coupling may contain only letters, digits and _; rename'
                    " it"
                )
        if twice := sorted(self.heads.keys() & self.coupling.keys()):
            raise ValueError(
                f"coupling.{twice[0]}: a head has the same name, so their losses would share a log key:"
                " rename one of them"
            )
        for name, head in self.heads.items():
            of_label = head.about.column == heads.LABEL and not head.column
            if head.sees == "both" and head.kind != "clip_class":
                raise ValueError(f'heads.{name}.sees = "both" is for kind clip_class; remove it')
            if head.sees == "also" and (head.kind != "clip_class" or not self.features.also):
                raise ValueError(
                    f'heads.{name}.sees = "also" is for kind clip_class and the columns of features.also;'
                    ' name some, such as "pitch", or remove it'
                )
            if not self.data.label and (head.kind == "segments" or of_label):
                raise ValueError(
                    f"data.label is missing: heads.{name} of kind {head.kind} learns the classes of that"
                    " column; add it"
                )
            if of_label and head.kind == "tags" and self.data.labels == "one":
                raise ValueError(
                    f'heads.{name}: kind tags learns several labels per clip, but data.labels = "one"; set'
                    ' data.labels = "several", or name another column'
                )
            if self.data.labels == "several" and (
                head.kind == "segments" or (head.kind == "clip_class" and of_label)
            ):
                raise ValueError(
                    f'heads.{name}: kind {head.kind} learns one class per clip, but data.labels = "several";'
                    ' use kind = "tags"'
                )
            if not head.reads(self.data.label or ""):
                raise ValueError(
                    f"heads.{name}.column: a head of kind {head.kind} must name the column that it learns"
                )
        for name, pair in self.coupling.items():
            for kind in ("clip_class", "segments"):
                wanted = getattr(pair, kind)
                if wanted not in self.heads or self.heads[wanted].kind != kind:
                    raise ValueError(f'coupling.{name}.{kind} = "{wanted}": no head with this name and kind')
        return self

    @model_validator(mode="after")
    def _decoders_suit_the_heads(self) -> Self:
        for name, decoding in self.decoding.items():
            if name not in self.heads:
                raise ValueError(
                    f"decoding.{name}: no head has this name{nearest(name, self.heads)}; heads:"
                    f" {', '.join(self.heads)}"
                )
            methods = ("greedy", *self.heads[name].about.decoders)
            if decoding.method not in methods:
                raise ValueError(
                    f'decoding.{name}.method = "{decoding.method}": heads.{name} of kind'
                    f" {self.heads[name].kind} is read by {' or '.join(methods)}"
                )
            self._check_beside(name, decoding)
        return self

    def _check_beside(self, name: str, decoding: Decoding) -> None:
        """The head that is read together with another one is there, trained and kept."""
        if not (beside := decoding.beside if decoding.method in ("hmm", "segments") else ""):
            return
        place, wanted = f'decoding.{name}.beside = "{beside}"', self.heads[name].about.beside_kind
        other = self.heads.get(beside)
        if other is None or other.kind != wanted:
            raise ValueError(f"{place}: no head of kind {wanted} has this name{nearest(beside, self.heads)}")
        if not other.weight or other.train_only:
            raise ValueError(
                f"{place}: heads.{beside} has weight 0 or is train_only, so its output cannot be read; set"
                f' decoding.{name}.beside = ""'
            )

    @model_validator(mode="after")
    def _scores_are_those_of_the_heads(self) -> Self:
        known = [
            "loss",
            *(
                f"{name}_{score}"
                for name, head in self.heads.items()
                for score in ("loss", *head.about.scores)
            ),
        ]
        for score in self.scores:
            if score not in known:
                raise ValueError(
                    f'scores: "{score}" is not a score of these heads{nearest(score, known)}; available:'
                    f" {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _no_target_among_the_inputs(self) -> Self:
        """The text of an alignment is given by definition: what is learned is its times."""
        given = {"inputs.text": self.inputs.text, "inputs.score": self.inputs.score}
        if self.inputs.audio:
            given["inputs.audio"] = "path"
        for name, head in self.heads.items():
            if (
                self.inputs.allow_leak
                or head.about.reads_text
                or (head.about.reads_recording and head.train_only)
            ):
                continue
            for place, column in given.items():
                if column and head.reads(self.data.label) == column:
                    raise ValueError(
                        f'heads.{name} learns the column "{column}", which is also {place}: a target among'
                        " the inputs is a leak; remove one of them (use inputs.allow_leak = true only to show"
                        " its effect on the scores)"
                    )
        return self


# settings that change what the loss means
LOSS_PATHS = (
    "balancing.method",
    "heads.*.weight",
    "heads.*.class_weights",
    "heads.*.item_weight",
    "coupling.*.weight",
)
SCORES: dict[str, str] = {}  # each experiment names its own, in its table scores
TAG_SCORES = SCORES  # with several labels per clip
BESIDE = ("*_loss",)  # further columns of the tables of ablations
# columns of `predictions` whose sums make up a score (`harness.clip_counts`)
PER_CLIP = {
    "*_error_rate": ("*_edits", "*_phones"),
    "*_frame_accuracy": ("*_frames_right", "*_frames"),
    "*_raw_pitch_accuracy": ("*_pitch_right", "*_sung"),
    "*_onset_f1": ("*_onset_f1", ""),
    "*_step_f1": ("*_steps_right", "*_steps_marked"),
}


def watched(settings: Settings) -> dict[str, str]:
    """Further scores of every epoch, and their direction: those of every head."""
    found = {}
    for name, head in settings.heads.items():
        found[f"{name}_loss"] = "minimize"
        found |= {
            f"{name}_{score}": "minimize" if score in head.about.minimized else "maximize"
            for score in head.about.scores
            if score not in head.about.slow
        }
    return found
