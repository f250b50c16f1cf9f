"""A project folder in which the blocks of a page are run as a reader would type them.

It holds the Makefile, small experiments and studies under the names that the documentation uses (each of the
family that the name has in the project, on thirty sounds of a second or a small generated corpus, a few
epochs), recordings to try things on, and ``.venv/bin`` with the commands. A block of commands is run by bash,
which stops at the first that fails. ``audiomtl`` is forked from `tests.warm`, unless the page has changed
PYTHONPATH.

Contents: `Sandbox`, `SHIPPED`.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from audiomtl import config
from audiomtl.settings.toml import as_toml
from tests import warm
from tests.pages import PROJECT, Block, blocks, commands
from tests.ports import free_port
from tests.surroundings.families import RATE, raw_settings, sounds
from tests.whole_settings import whole_settings

PATIENCE = 1800.0  # seconds until what hangs is given up
SHIPPED = {  # experiments that pages name, and their family
    "NAME": "ctc",
    "another_experiment": "ctc",
    "baseline_esc10": "baseline",
    "ctc_german": "ctc",
    "ctc_timit": "ctc",
    "fusion_pictures": "fusion",
    "lengths": "multitask",
    "mil_esc10": "mil",
    "multitask_scenes": "multitask",
    "quickstart": "ctc",
    "transfer_esc10": "transfer",
}
SINGING = {  # changes of multitask_singing
    "seeds": [1],
    "data.singers": 3,
    "data.songs": 1,
    "data.phrases": 4,
    "features.bands": 32,
    "features.hop_seconds": 0.032,
    "encoder.kind": "recurrent",
    "encoder.filters": [4, 4],
    "encoder.pool_bands": [4, 4],
    "encoder.units": 8,
    "training.epochs": 2,
    "training.batch_size": 2,
}
STUDY = """experiment = "{name}"
description = "Learning rate of {name}."
metric = "{metric}"
direction = "{direction}"
prune_on = "validation/loss"
prune_direction = "minimize"
prune_after_epochs = 2
trials = 3
sampler = "random"
sampler_seed = 1
optimism_seeds = 0

[judge]
over = "one"

[search]
optimizer.learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
"""
ABLATIONS = """
[ablation.slow]
optimizer.learning_rate = 0.0001

[ablation.unscaled]
features.scaling = "none"
"""
# a shell's `audiomtl`: forked from the process that has imported everything
COMMAND = """#!{python}
import os, signal, sys
sys.path.insert(0, {root!r})
from tests import warm
given, code = os.environ.get("PYTHONPATH"), warm.CODE
if os.path.isdir("audiomtl"):  # of the reader: a changed copy
    given, code = None, os.pathsep.join([os.getcwd(), warm.CODE])
if given != warm.CODE:
    os.environ["PYTHONPATH"] = code + os.pathsep + (given or "")
    os.execv({python!r}, [{python!r}, {script!r}, *sys.argv[1:]])
command = warm.start(sys.argv[1:], os.getcwd(), os.environ)
signal.signal(signal.SIGTERM, lambda *_: os.killpg(command.pid, signal.SIGTERM))
for line in command.stdout:
    print(line, end="", flush=True)
command.wait()
sys.exit(command.returncode if command.returncode >= 0 else 128 - command.returncode)
"""
CELLS = """
import json

names = {"__name__": "__main__"}
for number, source in enumerate(json.load(open(".cells.json"))):
    exec(compile(source, f"cell {number}", "exec"), names)
"""
PROGRAM = """#!/bin/sh
[ -d audiomtl ] && here="$PWD:"
PYTHONPATH="$here{code}:$PYTHONPATH" exec {path} "$@"
"""


class Sandbox:
    """The project of someone who follows a page; ``sources`` are sounds, ``cache`` is shared by all pages."""

    def __init__(self, folder: Path, sources: Path, cache: Path) -> None:
        self.folder = folder
        self.servers: list[subprocess.Popen[bytes]] = []
        self.namespace: Path = folder / ".page.py"
        self.port = free_port()
        for name in ("experiments", "studies", ".venv/bin", "data"):
            (folder / name).mkdir(parents=True)
        for name in ("Makefile", "README.md", "docs/results.md"):
            self._copy(PROJECT / name, name)
        for name in ("requirements.lock", "pyproject.toml", ".venv/.ready"):  # in order of age
            (folder / name).touch()
        self._programs()
        self._recordings(sources)
        for name, family in SHIPPED.items():
            changes: dict[str, Any] = {} if family == "baseline" else {"training__epochs": 2}
            changes |= {"balancing__method": "fixed"} if family == "multitask" else {}
            self._experiment(name, raw_settings(family, sources, seeds=[1, 2], **changes))
        self._study("multitask_scenes_pareto")
        self._experiment("multitask_singing", config.override(whole_settings("multitask_singing"), SINGING))
        unset = ("AUDIOMTL_", "MLFLOW_", "PYTHON")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(unset)},
            **({warm.SHARED: os.environ[warm.SHARED]} if warm.SHARED in os.environ else {}),
            "PATH": os.environ["PATH"].replace(f"{Path(sys.executable).parent}{os.pathsep}", ""),
            "PYTHONPATH": warm.CODE,
            "PROJECT": str(PROJECT),
            "AUDIOMTL_CACHE": str(cache),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }

    def _programs(self) -> None:
        programs = self.folder / ".venv" / "bin"
        here = Path(sys.executable)
        text = COMMAND.format(python=sys.executable, root=str(PROJECT), script=str(warm.SCRIPT))
        (programs / "audiomtl").write_text(text)
        (programs / "activate").write_text('export PATH="$PWD/.venv/bin:$PATH"\n')
        for name in ("python", "mlflow", "uvicorn"):
            (programs / name).write_text(PROGRAM.format(path=here.with_name(name), code=warm.CODE))
        for path in programs.iterdir():
            path.chmod(0o755)

    def _recordings(self, sources: Path) -> None:
        """Recordings under the names of the pages: a folder per class, tables, single files, birds, speech."""
        clips = pd.read_parquet(sources / "clips.parquet")
        for number, path in enumerate(sorted(sources.glob("*.wav"))):
            name = "abc"[number % 3]
            self._copy(path, f"recordings/{name}/{path.name}")
            for louder in range(3):  # enough clips for a validation split
                bird = self.folder / f"data/birds/species {name}/{number // 6}_{number}{louder}.wav"
                bird.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(bird, soundfile.read(path)[0] * (0.6 + 0.1 * louder), RATE)
        rows = clips.assign(path=[str(sources / path) for path in clips["path"]])
        genres = rows[["path"]].assign(genre=rows["kind"], artist=rows["source"])
        genres.to_csv(self.folder / "my.csv", index=False)
        genres.to_csv(self.folder / "recordings" / "clips.csv", index=False)
        rows[["path", "kind", "source"]].to_csv(self.folder / "mine.csv", index=False)
        pairs = rows.head(4).assign(words=[" ".join(words) for words in rows["words"].head(4)])
        pairs[["path", "picture", "words"]].to_csv(self.folder / "pairs.csv", index=False)
        for name in ("new.wav", "a.wav", "recording.wav", "speech/a.wav"):
            self._copy(sources / "00.wav", name)
        for number in range(24):
            self._copy(sources / f"{number:02}.wav", f"corpus/{'abcd'[number % 4]}/{number}.wav")
            (self.folder / f"corpus/{'abcd'[number % 4]}/{number}.txt").write_text(
                "one two three" if number % 2 else "two"
            )
        for name in ("b.mp3", "song.mp3", "day.flac"):
            y = 0.1 * np.random.default_rng(1).standard_normal(3 * RATE)
            soundfile.write(self.folder / name, y, RATE)

    def _copy(self, path: Path, to: str) -> None:
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, self.folder / to)

    def _experiment(self, name: str, raw: dict[str, Any]) -> None:
        """Its file, two ablations, and a study of three trials, where it has a learning rate."""
        raw["description"] = f"A small {name}."
        text = 'acknowledged = ["small_validation"]\n' + as_toml(raw, 1)
        swept = "optimizer" in raw and name != "lengths"  # whose scores its page changes
        (self.folder / "experiments" / f"{name}.toml").write_text(
            text + (ABLATIONS if swept else ""), encoding="utf-8"
        )
        if swept:
            scores = raw.get("scores", config.family("settings", raw["model"]).SCORES)
            score, direction = next(iter(scores.items()))
            study = STUDY.format(name=name, metric=f"validation/{score}", direction=direction)
            (self.folder / "studies" / f"{name}.toml").write_text(study, encoding="utf-8")

    def _study(self, name: str) -> None:
        """A shipped study, of three trials."""
        text = (PROJECT / "studies" / f"{name}.toml").read_text(encoding="utf-8")
        text = re.sub(r"^trials = \d+", "trials = 3", text, flags=re.MULTILINE)
        (self.folder / "studies" / f"{name}.toml").write_text(text, encoding="utf-8")

    def ship(self, name: str) -> None:
        """An experiment and its study as they are shipped, instead of the small ones."""
        for folder in ("experiments", "studies"):
            shutil.copy(PROJECT / folder / f"{name}.toml", self.folder / folder)

    def run(self, block: Block) -> str:
        """What a block prints; it must end as it says, with 0 where it says nothing."""
        for before in block.marks.get("first", []):
            if before.startswith("docs/"):
                for other in blocks(PROJECT / before):
                    self._write(other)
            else:
                self._shell(before, "0", block)
        if block.file:
            self._write(block)
            return ""
        if block.language == "python":
            with self.namespace.open("a", encoding="utf-8") as file:  # blocks of a page share their names
                file.write(block.text)
            return self._shell(f".venv/bin/python {self.namespace}", "0", block)
        lines = commands(block)
        if "server" in block.marks:
            self._serve(lines, block)
            return ""
        return self._shell("\n".join(lines), block.marks.get("exit", ["0"])[0], block)

    def run_notebook(self, path: Path) -> str:
        """Execute the code cells of a notebook in order, in one namespace, as a kernel would; what they print.

        No Jupyter is needed: a cell is Python, and what it shows is not looked at.
        """
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        (self.folder / ".cells.json").write_text(json.dumps(sources), encoding="utf-8")
        return self._shell(f"MPLBACKEND=agg .venv/bin/python -c '{CELLS}'", "0", path)

    def _write(self, block: Block) -> None:
        """What the reader writes into a file, if the block is that."""
        if not block.file:
            return
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if "into" in block.marks and path.is_file():
            new = _tables(block.text)
            old = {
                name: text
                for name, text in _tables(path.read_text(encoding="utf-8")).items()
                if name not in new
            }
            path.write_text(new.pop("", "") + "".join((old | new).values()), encoding="utf-8")
        else:
            path.write_text(block.text, encoding="utf-8")

    def _filled(self, text: str) -> str:
        """A text with a free port instead of the usual ones."""
        text = re.sub(r"^make ui$", f"make ui OPTIONS='--port {self.port}'", text, flags=re.MULTILINE)
        return re.sub(r"(-p |localhost:|127\.0\.0\.1:)(8080|5000)\b", rf"\g<1>{self.port}", text)

    def _shell(self, script: str, status: str, block: Block | Path) -> str:
        """Run by bash; what it exports stays for the following blocks."""
        told = self.folder / ".environment"
        script = f"set -euo pipefail\ntrap 'env -0 > {told}' EXIT\n{self._filled(script)}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        said = done.stdout + done.stderr
        print(f"{block}\n{script}\n{said}")  # pytest shows it of a failure, or with -s
        assert str(done.returncode) in status.split(" or "), (
            f"{block}: exit {done.returncode}\n{script}\n{said}"
        )
        pairs = (pair.partition("=") for pair in told.read_text().split("\0") if pair)
        self.environment = {
            name: value for name, _, value in pairs if name not in ("_", "SHLVL", "PWD", "OLDPWD")
        }
        return said

    def _serve(self, lines: list[str], block: Block) -> None:
        """Start the last command and wait until it answers; the lines before it are run first."""
        if lines[:-1]:
            self._shell("\n".join(lines[:-1]), "0", block)
        log = self.folder / f"server_{len(self.servers)}.log"
        with log.open("w") as file:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {self._filled(lines[-1])}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.servers.append(server)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=60):
                    return
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                assert server.poll() is None, f"{block}: {log.read_text()}"
                time.sleep(0.3)
        raise AssertionError(f"{block}: no answer\n{log.read_text()}")

    def close(self) -> None:
        for server in reversed(self.servers):
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(server.pid, number)
                    server.wait(30)


def _tables(text: str) -> dict[str, str]:
    """Parts of a TOML file by their header; "" is what stands above the first."""
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    found = {part.partition("]")[0].removeprefix("["): part for part in parts if part.startswith("[")}
    return ({"": parts[0]} if parts[0].strip() else {}) | found


def write_sources(folder: Path) -> Path:
    """Sounds, their table and random YAMNet weights, shared by the sandboxes of all pages."""
    return sounds(folder)
