"""What the tests of published data sets share: real ones where they are, sounds, a division."""

import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from audiomtl.errors import MissingData
from audiomtl.settings.protocol import Protocol

REAL = Path(os.environ.get("AUDIOMTL_DATA", "data"))


def real(name: str) -> Path:
    """The folder of the real data sets, where it has this one; skips the test elsewhere."""
    if not (REAL / name).is_dir():
        pytest.skip(f"no {REAL / name}: set AUDIOMTL_DATA to a folder that has it")
    return REAL


def sound(path: Path, seconds: float = 0.1, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(16000 * seconds), 0.1), 16000, **options)


def protocol(kind: str, column: str = "", *, stratified: bool = True) -> Protocol:
    return Protocol(
        kind=kind,
        column=column,
        stratified=stratified,
        test_share=0.2,
        validation_share=0.2,
        folds=5,
        rotations=1,
        leaky=False,
        test_values=[],
        validation_values=[],
    )


def check_missing(reader: ModuleType, settings: Any, root: Path) -> None:
    """A set that is not there is missing, and it is said where it belongs."""
    with pytest.raises(
        MissingData, match=rf"is not in {re.escape(str(root))}.*: put .* there.*(published at|NLTK)"
    ):
        reader.clips(settings, root)
