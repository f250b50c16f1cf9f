"""Pages of runs that are made by hand, with names that would break a page that does not escape them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio
from audiomtl.harness.report import markdown
from tests.conftest import RATE, SOUNDS
from tests.harness.conftest import Project
from tests.harness.report.conftest import Store
from tests.harness.report.test_markdown import fill, sweep

NASTY = "<script>window.hurt = 1</script>"
CLASSES = ["dog", NASTY, 'a|b "c" & d']
QUESTION = f"Is {NASTY} | worse?"
CLIPS = 8


def predictions(folder: Path) -> dict[str, pd.DataFrame]:
    """Tables as a best run keeps them: of clips, and of windows with their weights."""
    random = np.random.default_rng(0)
    rows, windows = [], []
    for number in range(CLIPS):
        probabilities = random.dirichlet(np.ones(3))
        truth, guess = CLASSES[number % 3], CLASSES[int(probabilities.argmax())]
        ranked = np.sort(probabilities)
        of_class = {f"probability_{name}": value for name, value in zip(CLASSES, probabilities, strict=True)}
        path = "" if number == 1 else str(folder / ("lost.wav" if number == 2 else "chirp.wav"))
        clip = {"clip_id": f"clip {number} {NASTY}", "truth": truth, "predicted": guess}
        rows.append({**clip, "margin": ranked[-1] - ranked[-2], **of_class, "path": path, "seconds": 1.0})
        for window in range(4):
            place = {
                "start_seconds": window / 4,
                "end_seconds": (window + 1) / 4,
                "weight": (window + 1) / 10,
            }
            windows.append({"clip_id": clip["clip_id"], "window": window, **place, **of_class})
    return {"predictions_test": pd.DataFrame(rows), "windows_test": pd.DataFrame(windows)}


@pytest.fixture(scope="module")
def pages(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with ``report.html`` and ``listening.html``."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        before = os.getcwd()
        project = Project(folder / "project", patch)
        shutil.copytree(empty, project.runs)
        project.edit("experiments", "seeds = [1, 2]", "seeds = [1, 2, 3]")
        project.edit("experiments", "network.units = 4\n", f"network.units = 4\nquestion = '{QUESTION}'\n")
        project.edit("experiments", "A small network on noise", f"A small network on {NASTY}")
        store = Store(project)
        fill(store)
        sweep(store)
        audio.save(folder / "chirp.wav", SOUNDS["chirp"](), sample_rate=RATE)
        for run in store.tracking.runs("tiny", "tags.kind = 'best'"):
            for name, table in predictions(folder).items():
                table.to_parquet(folder / f"{name}.parquet")
                store.tracking.client.log_artifact(run.info.run_id, str(folder / f"{name}.parquet"))
        markdown.write(["tiny"], folder / "out", None)
        os.chdir(before)
        yield folder / "out"
