"""What several subcommands of the command line share: the round of work that ends its help, arguments, options. Imports nothing heavy."""

from pathlib import Path
from typing import Annotated

import typer

from audiomtl import system

EPILOG = """\b
A round of work, NAME being a file in experiments/ or studies/:
  audiomtl new NAME --data T   a first experiment and study for your own table
  audiomtl check               are all files valid?
  audiomtl study NAME          sweep the settings: many trials
  audiomtl promote NAME        write the best trial into the experiment
  audiomtl best NAME --record  train that on every seed, keep its scores
  audiomtl best NAME --again   train it again: do the scores come back?
  audiomtl ablations NAME      what did each setting matter?
  audiomtl report              tables and figures of all that
  audiomtl curve NAME          score against share of the training data
  audiomtl export NAME OUT     the best run as files that serve
  audiomtl predict NAME FILE   what it hears in files
  audiomtl align NAME FILE T   when is which word of T sung?
  audiomtl notes NAME FILE     the notes it hears, as MIDI

\b
Environment: AUDIOMTL_DATA  folder of published data sets (default data)
             AUDIOMTL_CACHE generated corpora and features (default cache)
             AUDIOMTL_RUNS  everything that is recorded (default runs)"""

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="A file in studies/, without .toml.")]
ExperimentName = Annotated[str, typer.Argument(metavar="NAME", help="A file in experiments/, without .toml; or a path that ends in .toml.")]
ExperimentNames = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Files in experiments/, without .toml. Default: all.")]
Slots = Annotated[
    int, typer.Option("--slots", metavar="N", min=1, help="Trainings side by side. With 1, two runs of a study are bit-identical.")
]
Threads = Annotated[
    int, typer.Option("--threads", metavar="N", min=1, help="TensorFlow threads of each training; another number may change last bits.")
]
Storage = Annotated[
    str, typer.Option("--storage", metavar="URL", help="Where Optuna keeps trials. Default: AUDIOMTL_STORAGE, or else runs/optuna.db.")
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Take the best run of this seed.")]
Again = Annotated[bool, typer.Option("--again", help="Train also what is finished already (same settings, seed, data and code).")]
SoundFile = Annotated[Path, typer.Argument(metavar="AUDIO", help="A sound file of any format, rate and number of channels.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]
Core = Annotated[bool, typer.Option("--core", help="Only ablations with core = true.")]
CORES = system.cores()
DEFAULT_SLOTS = min(8, CORES)
