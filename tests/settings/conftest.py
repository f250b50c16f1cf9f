"""A project of one experiment and one study."""

from pathlib import Path

import pytest

from tests.settings.files import EXPERIMENT, STUDY


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one experiment and one study, as the current directory."""
    for folder, text in (("experiments", EXPERIMENT), ("studies", STUDY)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path
