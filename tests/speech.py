"""``python tests/speech.py NAME``, before a page about texts: recordings of a generated corpus under the names of
the page, with their texts.

Writes recording.wav and text.txt, and the folders corpus/ (three recordings, their texts beside them) and
speech/.
"""

import shutil
import sys
from pathlib import Path

from audiomtl import config
from audiomtl.data import catalog


def main(name: str) -> None:
    table = catalog.clips(config.load_experiment(name).settings.data)
    for folder in ("corpus", "speech"):
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    for number, row in enumerate(table.head(3).to_dict("records")):
        shutil.copy(row["path"], f"corpus/{number}.wav")
        shutil.copy(row["path"], f"speech/{number}.wav")
        Path(f"corpus/{number}.lab").write_text(row["text"], encoding="utf-8")
    shutil.copy("corpus/0.wav", "recording.wav")
    shutil.copy("corpus/0.lab", "text.txt")


if __name__ == "__main__":
    main(sys.argv[1])
