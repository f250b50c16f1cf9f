"""Settings of families that give a clip a label: where clips come from, how they are divided, how they are cut into windows.

Conventions as in `shared`. Contents: the data tables (`Songs`, `Scenes`, `Singing`, `Pictures`, `Esc50`, `EmoDB`, `JamendoLyrics`, `Gtzan`,
`Timit`, `Song070`, `Vocadito`, `Maestro`, `Dali`, `Manifest`), `Protocol`, `Windows`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from audiomtl.settings.shared import Count, Integers, NotNegative, Positive, Share, Strings, Table


class Labelled(Table):
    """A clip table with a column of classes; a value of a group column never stands on two sides of a split."""

    label: str  # the column that names each clip's class
    groups: Strings  # such as ["artist"]; a clip is always on one side only


class Songs(Labelled):
    """The project's own synthetic songs (``data/corpora/songs.py``)."""

    dataset: Literal["songs"]
    corpus_seed: int
    songs: Count
    styles: Annotated[int, Field(ge=2, le=8)]  # classes
    artists: Count  # each with timbres, tempo and keys of its own
    shortest_seconds: Positive
    longest_seconds: Positive
    style_share: Annotated[float, Field(gt=0, le=1)]  # of a song's bars that carry its style; the rest any song could have

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.shortest_seconds > self.longest_seconds:
            raise ValueError(f"shortest_seconds <= longest_seconds must hold, but got {self.shortest_seconds} and {self.longest_seconds}")
        return self


class Scenes(Labelled):
    """The project's own synthetic sound scenes of twelve classes (``data/corpora/scenes.py``)."""

    dataset: Literal["scenes"]
    corpus_seed: int
    sources: Annotated[int, Field(ge=5, multiple_of=5)]  # of each class, dealt to five folds in turn
    takes: Count  # clips of each source
    signal_to_noise_db: float  # of events over background and distractors, mean over clips
    reverberation_seconds: NotNegative  # longest RT60 of the simulated rooms; 0 is dry


class Singing(Labelled):
    """The project's own sung phrases over a piano (``data/corpora/singing.py``)."""

    dataset: Literal["singing"]
    corpus_seed: int
    singers: Annotated[int, Field(ge=3)]  # each with songs of its own, dealt to six folds in turn
    songs: Count  # of each singer, each with a piano of its own
    phrases: Count  # of each song
    parts: Annotated[tuple[Literal["mix", "piano", "voice"], ...], Strict(False), Field(min_length=1)]  # which recordings are clips
    voice_over_piano_db: float
    signal_to_noise_db: float  # of the voice over background noise
    reverberation_seconds: NotNegative  # longest RT60 of the simulated rooms; 0 is dry
    deviation_share: Annotated[float, Field(gt=0, le=1)]  # of words or notes that are others, where given and sung differ
    every_deviation: bool = False  # each recording three times: with what was sung, with another text, with another score


class Pictures(Labelled):
    """The project's own pictures with questions (``data/corpora/pictures.py``)."""

    dataset: Literal["pictures"]
    corpus_seed: int
    sources: Annotated[int, Field(ge=5, multiple_of=5)]  # textures and ways of asking, dealt to five folds in turn
    takes: Count  # pictures of each source
    objects: Annotated[int, Field(ge=2, le=4)]  # in a picture
    noise: NotNegative  # deviation of the texture, where white is 1
    shape_share: Annotated[float, Field(ge=0, le=1)]  # of questions that ask by shape, which is harder to see than colour


class Esc50(Labelled):
    """Environmental sounds, the published layout with WAV or OGG (``data/datasets/esc50.py``)."""

    dataset: Literal["esc50"]
    classes: Strings  # [] takes every class that is there


class EmoDB(Labelled):
    """German emotional speech (``data/datasets/emodb.py``): ``label = "emotion"``."""

    dataset: Literal["emodb"]


class JamendoLyrics(Labelled):
    """Songs with genre, language and word times (``data/datasets/jamendolyrics.py``)."""

    dataset: Literal["jamendolyrics"]


class Gtzan(Labelled):
    """Thirty-second excerpts of ten genres (``data/datasets/gtzan.py``)."""

    dataset: Literal["gtzan"]
    fault_filtered: bool  # leave out what Sturm (2013) found doubled, distorted or mislabelled


class Timit(Labelled):
    """Read American English, phones and words with times (``data/datasets/timit.py``)."""

    dataset: Literal["timit"]
    sa_sentences: Literal["drop", "keep"]  # sa1 and sa2, which every speaker reads


class Song070(Labelled):
    """Japanese songs of one singer, phones and notes (``data/datasets/song070.py``)."""

    dataset: Literal["song070"]


class Vocadito(Labelled):
    """Solo singing, notes and f0 (``data/datasets/vocadito.py``)."""

    dataset: Literal["vocadito"]
    annotator: Literal["A1", "A2"]  # whose notes


class Maestro(Labelled):
    """Piano recordings with their MIDI (``data/datasets/maestro.py``)."""

    dataset: Literal["maestro"]
    years: Integers  # [] takes every year that is there


class Dali(Labelled):
    """Songs with words and notes (``data/datasets/dali.py``)."""

    dataset: Literal["dali"]


class Manifest(Labelled):
    """A table of one's own, CSV or Parquet (``data/datasets/manifest.py``)."""

    dataset: Literal["manifest"]
    table: str  # path of the table; paths in it are relative to its folder
    on_bad: Literal["error", "skip"]  # missing, unreadable and doubled files


Data = Annotated[
    Songs | Scenes | Singing | Pictures | Esc50 | EmoDB | JamendoLyrics | Gtzan | Timit | Song070 | Vocadito | Maestro | Dali | Manifest,
    Field(discriminator="dataset"),
]


class Protocol(Table):
    """How clips are divided. One flat table: keys that the kind does not use are allowed and have no effect.

    ============= ============================================================================================
    split         shares of the clips, by whole groups: test is the same for every seed, the rest is drawn anew for each; or a column
                  that names sides
    folds         seed s tests on fold s mod k, the next fold validates: the nested cross-validation of k seeds
    blocks        whole values of several group columns, crossed; off the diagonal is dropped (as in the CTC family)
    leave_one_out seed s tests on value s mod n of the first group column, the next value validates
    ============= ============================================================================================
    """

    kind: Literal["split", "folds", "blocks", "leave_one_out"]
    test_share: Share  # split
    validation_share: Share  # split
    stratified: bool  # split and folds that the project makes: classes in like shares on every side
    column: str  # split: a column of "train", "validation", "test"; folds: a column of fold names; "": the project makes them
    folds: Annotated[int, Field(ge=3)]  # folds, where column = ""
    test_values: Integers  # blocks: one number for each of data.groups
    validation_values: Integers
    rotations: Count  # blocks
    leaky: bool  # cut into windows first and draw sides for windows, not clips: what NOT to do, for an ablation

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        shares = (self.test_share, self.validation_share)
        if self.kind == "split" and not self.column and (min(shares) <= 0 or sum(shares) >= 1):
            raise ValueError(f"test_share and validation_share must be above 0 and their sum below 1, but got {shares[0]} and {shares[1]}")
        return self


class Windows(Table):
    """How a clip becomes a bag of windows: views of stored frames, starts snapped to the frame grid."""

    seconds: Positive
    hop_share: Annotated[float, Field(gt=0, le=1)]  # of the window: 0.5 is 50 % overlap
    tail: Literal["pad", "drop", "shift"]  # what does not fill a last window: fill it up, leave it out, or end the last window at the end
    bag_windows: Annotated[int, Field(ge=0)]  # windows drawn from each clip in each epoch of training; 0: all
