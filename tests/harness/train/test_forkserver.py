"""The environment of trainings."""

import os

import pytest

from audiomtl import redaction
from audiomtl.harness.train.forkserver import server_environment


@pytest.mark.parametrize("name", redaction.STORE_VARIABLES)
def test_trainings_get_no_address_and_no_password_of_a_store(name, monkeypatch) -> None:
    monkeypatch.setenv(name, "http://me:secret@host")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the data")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with server_environment():
        assert "secret" not in "".join(os.environ.values())
        assert os.environ["AWS_SECRET_ACCESS_KEY"] == "of the data" and "PYTHONSAFEPATH" in os.environ
    assert os.environ[name] == "http://me:secret@host" and "PYTHONSAFEPATH" not in os.environ
