"""Pictures for the README, of the quickstart's own runs: ``make quickstart screenshots``.

Writes ``mlflow.webp``, ``report.webp`` and ``listening.webp`` into ``docs/images``; all together they must stay below
400 KB. Needs Chromium.
"""

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests import browser
from tests.ports import free_port

PROJECT = Path(__file__).parents[1]
RUNS = Path(os.environ.get("AUDIOMTL_RUNS", "runs"))
PAGES = RUNS / "quickstart" / "report"
WIDE, HIGH = 1280, 860  # CSS pixels that are looked at
SMALL = 1000  # pixels: width of a picture
MOST = 400_000  # bytes of all pictures
PATIENCE = 120  # seconds for MLflow's charts
CLOSE = """document.querySelectorAll('button').forEach(one => {
  if (/close|hide banner/i.test(one.getAttribute('aria-label') || '')) one.click();
}), document.head.append(Object.assign(document.createElement('style'), { textContent: '.modebar { display: none }' })),
null"""
CHARTS = "document.querySelectorAll('.js-plotly-plot').length"


@contextmanager
def view() -> Iterator[str]:
    """The address of the saved view of the last study, while ``audiomtl ui`` runs."""
    command = [sys.executable, "-m", "audiomtl", "ui", "--port", str(free_port())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        address = ""
        for line in server.stdout:
            if line.startswith("trials of study "):
                address = line.split(": ", 1)[1].strip()
            if "Ctrl-C" in line:
                break
        assert address, "no study: run make quickstart first"
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=PATIENCE)


def taken(driven: browser.Driven, folder: Path, name: str) -> bytes:
    """What is in sight, as WebP."""
    driven.picture(folder / f"{name}.png", whole=False)
    picture = Image.open(folder / f"{name}.png").convert("RGB")
    picture = picture.resize((SMALL, round(SMALL * picture.height / picture.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=82, method=6)
    return content.getvalue()


def main() -> int:
    """Take the pictures; 0 if they are there and small enough."""
    if not (PAGES / "report.html").is_file():
        print(f"{PAGES}/report.html: no such file: run make quickstart first")
        return 1
    if browser.program() is None:
        print("no Chromium here: apt-get install chromium")
        return 1
    pictures: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name, browser.driven(Path(name)) as driven, view() as address:
        folder = Path(name)
        driven.open(address, width=1440, height=968)
        for _ in range(PATIENCE * 2):
            if driven.run(CHARTS) >= 2:
                break
            time.sleep(0.5)
        driven.run(CLOSE)  # the assistant and the note on shared views
        time.sleep(4)  # until the charts are drawn, now wider
        pictures["mlflow"] = taken(driven, folder, "mlflow")
        driven.open((PAGES / "report.html").resolve().as_uri(), width=WIDE, height=HIGH)
        driven.run("document.querySelector('.study figure').scrollIntoView()")
        pictures["report"] = taken(driven, folder, "report")
        driven.open((PAGES / "listening.html").resolve().as_uri(), width=WIDE, height=HIGH)
        driven.run("document.querySelector('.clip').scrollIntoView()")
        pictures["listening"] = taken(driven, folder, "listening")
    images = PROJECT / "docs" / "images"
    images.mkdir(exist_ok=True)
    for name, content in pictures.items():
        (images / f"{name}.webp").write_bytes(content)
        print(f"docs/images/{name}.webp: {len(content) / 1000:.0f} KB")
    if (total := sum(map(len, pictures.values()))) > MOST:
        print(f"docs/images: {total / 1000:.0f} KB, but at most {MOST / 1000:.0f} KB are allowed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
