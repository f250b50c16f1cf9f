"""A headless Chromium for tests of pages; a test skips, with a line, where there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

PATIENCE = 300  # seconds


def page(address: str, folder: Path, *, width: int = 1500, height: int = 1100, wait: int = 30) -> str:
    """The elements of a page after its scripts have run, as HTML; ``folder`` gets ``page.png``.

    Parameters
    ----------
    wait : seconds of the page's own clock, which does not wait for a loaded machine.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    command = [
        *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"),
        *(f"--virtual-time-budget={1000 * wait}", f"--screenshot={folder / 'page.png'}", "--dump-dom"),
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
