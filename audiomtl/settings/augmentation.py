"""Settings of augmentation (``data/augmentation``): random changes of the clips that a network is trained on.

Each augmentation is an optional table ``[augmentation.NAME]``; what is left out is not applied. Validation
and test clips, and recordings that a trained model reads, are never changed.

Contents: `SequenceAugmentation` (labels in time), `ClipAugmentation` (labels of whole clips), `check_bands`,
`check_stored`, `check_heads`, and the table of each augmentation.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.named import TablesIn
from audiomtl.settings.shared import Features
from audiomtl.settings.table import Count, Positive, Share, Table

# augmentation -> kinds of heads of a multi-task network whose labels it would make wrong
WRONG_FOR = {
    "speed": ("melody", "notes", "mel"),  # times move with it, but not pitches and recordings
    "vtlp": ("melody", "notes", "mel"),
    "room": ("mel",),
    "gain": ("mel",),
    "time_roll": ("phones", "ctc", "alignment", "segments", "melody", "notes", "mel"),
    "mixup": ("phones", "ctc", "alignment", "segments", "melody", "notes", "mel", "value", "tags"),
}
Probability = Annotated[float, Field(ge=0, le=1)]
Warp = Annotated[float, Field(gt=0, lt=0.5)]


def _probability() -> Probability:
    return Field(description="Probability that a clip is changed in an epoch; 0 turns it off.")


class SpecAugment(Table):
    """Masks over bands and frames, filled with the clip's mean of each band (Park et al., 2019)."""

    probability: Probability = _probability()
    frequency_masks: Annotated[int, Field(ge=0)] = Field(description="Number of masks over bands.")
    frequency_share: Share = Field(
        description="Largest width of a mask over bands, as a fraction of the bands."
    )
    time_masks: Annotated[int, Field(ge=0)] = Field(description="Number of masks over frames.")
    time_seconds: Positive = Field(description="Largest width of a mask over frames, in seconds.")
    time_share: Share = Field(
        description="Limit of time_seconds: largest width of a mask over frames, as a fraction of the clip."
    )


class Speed(Table):
    """The sound played faster or slower, pitch included (Ko et al., 2015); times of labels move with it."""

    probability: Probability = _probability()
    factors: Annotated[
        tuple[Annotated[float, Field(ge=0.5, le=2)], ...], Strict(False), Field(min_length=1)
    ] = Field(
        description="Factors of the speed, one of which is drawn: 1.1 is 10 % faster and higher in pitch."
    )

    @model_validator(mode="after")
    def _changes(self) -> Self:
        if 1.0 in self.factors or len(set(self.factors)) != len(self.factors):
            raise ValueError(
                f"factors must be different and none may be 1 (the sound as it is has 1 - probability), but"
                f" got {list(self.factors)}"
            )
        return self


class Vtlp(Table):
    """Vocal tract length perturbation: bands warped as by another speaker (Jaitly and Hinton, 2013)."""

    probability: Probability = _probability()
    warp: Warp = Field(
        description="Largest warp: the factor is drawn between 1 - warp and 1 + warp, and warp is below 0.5."
    )


class Gain(Table):
    """Another level."""

    probability: Probability = _probability()
    decibels: Positive = Field(description="Largest change of the level up or down, in dB.")


class Noise(Table):
    """Stationary noise, white to pink, added to the power of the stored features."""

    probability: Probability = _probability()
    lowest_db: float = Field(description="Lowest ratio of the clip's mean power to the noise, in dB.")
    highest_db: float = Field(description="Highest ratio of the clip's mean power to the noise, in dB.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lowest_db > self.highest_db:
            raise ValueError(
                f"lowest_db <= highest_db must hold, but got {self.lowest_db} and {self.highest_db}"
            )
        return self


class Room(Table):
    """Simulated reverberation of the sound, computed once for each clip and room."""

    probability: Probability = _probability()
    rooms: Count = Field(description="Simulated rooms for each clip, one of which is drawn.")
    longest_seconds: Positive = Field(description="Longest reverberation time (RT60), in seconds.")


class TimeRoll(Table):
    """The clip begins at another frame; what is cut off is put behind its end."""

    probability: Probability = _probability()


class Mixup(Table):
    """A clip and its label mixed with another of the batch (Zhang et al., 2018)."""

    probability: Probability = _probability()
    alpha: Positive = Field(
        description="Both parameters of the beta distribution of the other clip's share, above 0."
    )


class SequenceAugmentation(Table):
    """Random changes of train clips whose labels have an order or times."""

    spec_augment: SpecAugment | None = Field(None, description="Masks over bands and frames.")
    speed: Speed | None = Field(None, description="The sound played faster or slower.")
    vtlp: Vtlp | None = Field(None, description="Bands warped as by another speaker.")
    gain: Gain | None = Field(None, description="Another level.")
    noise: Noise | None = Field(None, description="Added noise.")
    room: Room | None = Field(None, description="Simulated reverberation.")
    label_smoothing: Share = Field(
        0.0,
        description=(
            "Share of each target that is spread over all classes, in [0, 1); of multi-task heads of kind"
            " clip_class. Default 0: none."
        ),
    )


class ClipAugmentation(SequenceAugmentation):
    """Random changes of train clips whose labels are those of the whole clip."""

    time_roll: TimeRoll | None = Field(None, description="The clip begins at another frame.")
    mixup: Mixup | None = Field(None, description="Clips and labels mixed in pairs.")


Sequences = Annotated[SequenceAugmentation | None, TablesIn("audiomtl.data.augmentation")]
Clips = Annotated[ClipAugmentation | None, TablesIn("audiomtl.data.augmentation")]


def check_bands(augmentation: SequenceAugmentation | None, features: Features) -> None:
    """Refuse augmentations that need bands where there are none.

    Raises
    ------
    ValueError : naming setting, value and remedy.
    """
    further = getattr(features, "normalize_by", "") or ", ".join(features.also)
    for name in ("vtlp", "noise", "gain"):
        if further and augmentation is not None and getattr(augmentation, name) is not None:
            raise ValueError(
                f"augmentation.{name} changes bands in dB, but features.also or features.normalize_by"
                f" ({further}) gives others; leave one of the two out"
            )
    for name in ("vtlp", "noise"):
        if features.kind == "mfcc" and augmentation is not None and getattr(augmentation, name) is not None:
            raise ValueError(
                f'augmentation.{name} changes frequency bands, which features.kind = "mfcc" does not have;'
                f' use "log_mel" or "log_stft", or leave augmentation.{name} out'
            )


def check_stored(augmentation: SequenceAugmentation | None, reason: str) -> None:
    """Refuse augmentations of sounds and frames where stored embeddings are read.

    Raises
    ------
    ValueError : naming setting and remedy.
    """
    for name in type(augmentation).model_fields if augmentation is not None else ():
        if name not in ("mixup", "label_smoothing") and getattr(augmentation, name) is not None:
            raise ValueError(
                f"augmentation.{name} changes sounds or their features, but with {reason} stored embeddings"
                " are read: only mixup and label_smoothing can be used"
            )


def check_heads(
    augmentation: SequenceAugmentation | None, kinds: Mapping[str, str], inputs: tuple[str, ...]
) -> None:
    """Refuse augmentations that would make labels of a multi-task network wrong, or inputs beside the sound.

    Parameters
    ----------
    kinds : kind of each head, by name. inputs : names of the inputs beside the sound: "text", "score".

    Raises
    ------
    ValueError : naming setting, head or input, and remedy.
    """
    for name, wrong in WRONG_FOR.items():
        if augmentation is None or getattr(augmentation, name, None) is None:
            continue
        for head, kind in sorted(kinds.items()):
            if kind in wrong:
                raise ValueError(
                    f"augmentation.{name}: the labels of heads.{head} (kind {kind}) would be wrong; leave the"
                    " augmentation or the head out"
                )
        moved = {"speed": ("score",), "time_roll": ("text", "score"), "mixup": ("text", "score")}
        if beside := [one for one in inputs if one in moved.get(name, ())]:
            raise ValueError(
                f"augmentation.{name}: changes the sound, but not inputs.{beside[0]} beside it; leave it out"
            )
