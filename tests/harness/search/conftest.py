"""The study of ``tests/lab`` as a file, without trainings."""

from pathlib import Path

import pytest

from audiomtl import config

LAB = Path(__file__).parents[2] / "lab"


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """Loads the study of ``tests/lab`` after some texts in it were replaced."""

    def load(changes: dict[str, str]) -> config.StudyFile:
        for kind, source in (("experiments", "tiny.toml"), ("studies", "tiny_study.toml")):
            text = (LAB / source).read_text()
            for old, new in changes.items() if kind == "studies" else ():
                assert old in text
                text = text.replace(old, new)
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / "tiny.toml").write_text(text)
        return config.load_study("tiny")

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(LAB))
    return load
