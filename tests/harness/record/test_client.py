"""What is said of a tracking server that is absent, refuses, is something else or goes away; passwords."""

import http.server
import itertools
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException

from audiomtl.errors import StoreError
from audiomtl.harness import database
from audiomtl.harness.record import client
from audiomtl.harness.record.client import Client
from tests.services.postgres import Postgres

RUN = {"run": {"info": {"run_id": "1", "experiment_id": "1", "status": "RUNNING"}, "data": {}}}


class Fake:
    """A server on 127.0.0.1 that gives the answers that a test names, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = [(200, "{}")]
        self.asked: list[tuple[str, str]] = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                fake.asked.append((self.path, body))
                code, text = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
                self.send_response(code)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://me:s3cretpw@127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    """Every look at the clock is a second later, and nobody waits."""

    class Clock:
        monotonic = staticmethod(itertools.count().__next__)
        sleep = staticmethod(lambda _seconds: None)

    monkeypatch.setattr(client, "time", Clock)


def line(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Client(url)
    text = str(caught.value)
    assert "\n" not in text and "s3cretpw" not in text
    return text


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (200, "<html>hello</html>", "no usable store of MLflow"),
        (401, "no", "the server refuses user or password: set them in MLFLOW_TRACKING_URI, or in"),
        (403, "no", "the server does not allow this"),
        (404, "no", "no usable store of MLflow"),
        (500, "no", "no answer from the tracking server (too many 500 error responses)"),
        (503, "no", "no answer from the tracking server (too many 503 error responses)"),
        (401, '{"error_code": "UNAUTHENTICATED", "message": "no"}', "the server refuses user or password"),
    ],
)
def test_an_answer_that_is_none_is_told(fake, code, text, words) -> None:
    fake.answers = [(code, text)]
    assert words in line(fake.url)
    assert len(fake.asked) == 1  # once: a start does not wait


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://me:s3cretpw@127.0.0.1:1", "no answer from the tracking server ([Errno 111] Connection refused): start it"),
        ("foo://me:s3cretpw@host", "foo://me:***@host: no usable store of MLflow"),
        ("mysql://me:s3cretpw@127.0.0.1:1/db", "the driver is missing"),
    ],
)  # fmt: skip
def test_a_server_that_is_absent_is_told(url, words) -> None:
    assert words in line(url)


def test_a_server_that_says_nothing_is_told_after_some_seconds(monkeypatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "no answer from the tracking server (timed out)" in line(
            f"http://127.0.0.1:{silent.getsockname()[1]}"
        )


def test_what_fails_in_passing_is_said_again(fake) -> None:
    found = Client(fake.url)
    fake.answers = [(503, ""), (500, ""), (503, ""), (200, "{}")]
    found.log_metric("1", "x", 1.0)
    assert [path.rpartition("/")[2] for path, _ in fake.asked[1:]] == ["log-metric"] * 4


def test_what_would_count_twice_is_not_said_again(fake) -> None:
    """The server may have made the run before it failed."""
    found = Client(fake.url)
    fake.answers = [(503, ""), (200, json.dumps(RUN))]
    with pytest.raises(StoreError):
        found.create_run("1")
    assert len(fake.asked) == 2


def test_a_server_that_stays_away_is_told_after_the_outage(fake) -> None:
    found = Client(fake.url)
    fake.answers = [(503, "")]
    with pytest.raises(StoreError, match=r"no answer .* start it or correct MLFLOW_TRACKING_URI, then run"):
        found.log_metric("1", "x", 1.0)
    asked = len(fake.asked)
    assert asked - 1 == database.OUTAGE_SECONDS  # by the clock of this test
    with pytest.raises(StoreError):  # as while the command ends
        found.set_tag("1", "reason", "x")
    assert len(fake.asked) == asked + 1


def test_a_refusal_that_a_bug_would_get_stays_what_it_is(fake) -> None:
    found = Client(fake.url)
    fake.answers = [(400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "wrong step"}')]
    with pytest.raises(MlflowException, match="wrong step"):
        found.log_metric("1", "x", 1.0)


def test_no_password_is_written_into_a_run(fake) -> None:
    found = Client(fake.url)
    fake.answers = [(200, json.dumps(RUN))]
    text = f"failed: {fake.url}/x"
    found.create_run("1", tags={"reason": text}, run_name=text)
    found.set_tag("1", "reason", text)
    found.log_batch("1", params=[Param("p", text)], tags=[RunTag("t", text)])
    said = [body for _, body in fake.asked[1:]]
    assert len(said) == 3 and all("me:***@127.0.0.1" in body and "s3cretpw" not in body for body in said)


def test_postgresql_tells_a_wrong_password_and_another_program_s_database(password_server: Postgres) -> None:
    with pytest.raises(StoreError, match=r"password authentication failed .*: check user and password"):
        Client(password_server.url("mlflow", "wr0ngpassw0rd"))
    found = Client(password_server.url("mlflow"))
    assert found.search_experiments()[0].name == "Default"
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore._engine_map[password_server.url("mlflow")].dispose()
