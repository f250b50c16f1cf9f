"""MLflow's client as this project uses it: a fault of the store or the server is told in one line, a server
may be away for some seconds, and no password is written into the records.

Contents: `Client`, `CannotDelete`, `local_store`.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mlflow
import requests
import sqlalchemy
import urllib3
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.db import utils as mlflow_database
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from audiomtl.errors import StoreError, SurroundingsError
from audiomtl.harness import database
from audiomtl.redaction import redact
from audiomtl.system import os_fault

# this client repeats what fails itself, for `database.OUTAGE_SECONDS`; MLflow would for four minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a line per run, with the password

ONCE = ("create_run", "create_experiment", "create_model_version")  # said twice they would count twice
VARIABLE = "MLFLOW_TRACKING_URI"
Step = Callable[..., Any]


class CannotDelete(StoreError):
    """A store of artifacts that can delete none."""


class Client:
    """An ``MlflowClient`` whose every call behaves as the module says; its methods are MLflow's.

    Raises
    ------
    StoreError : no such store, server or driver, no answer, wrong password.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self._place = uri, redact(uri)
        self._patience = 0.0  # seconds; none before the first answer, nor after an outage that was too long
        self._answered = False
        with self._told():
            if uri.startswith(("sqlite", "postgresql", "mysql", "mssql")):
                _use_engine(uri)
                self._place = database.shown(uri)
            self._client = mlflow.MlflowClient(uri)
            with _seconds(database.CONNECT_SECONDS):
                self._client.search_experiments(max_results=1)
        self._answered = True
        self._patience = database.OUTAGE_SECONDS

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return self._careful(name, method) if callable(method) else method

    def delete_artifact(self, artifact_uri: str, path: str) -> None:
        """Delete a file or a folder among a run's artifacts, which ``MlflowClient`` has no method for.

        Raises
        ------
        CannotDelete : the store of artifacts has no such operation, or refuses it.
        """

        def delete() -> None:
            try:
                get_artifact_repository(artifact_uri, self._uri).delete_artifacts(path)
            except (NotImplementedError, requests.HTTPError, MlflowException) as error:
                said = " ".join(str(error).split())
                if isinstance(error, MlflowException) and "implement" not in said.lower():
                    raise
                why = f" ({said})" if said else ""
                raise CannotDelete(
                    redact(f"{self._place}: its store of artifacts cannot delete files{why}: they stay")
                ) from None

        self._careful("delete_artifacts", delete)()

    def _careful(self, name: str, method: Step) -> Step:
        def call(*arguments: Any, **options: Any) -> Any:
            arguments, options = _clean(arguments), _clean(options)
            began = time.monotonic()
            while True:
                try:
                    with self._told():
                        result = method(*arguments, **options)
                    self._patience = database.OUTAGE_SECONDS
                    return result
                except StoreError as error:
                    again = error.passing and (name not in ONCE or _never_arrived(error))
                    if not again or time.monotonic() - began >= self._patience:
                        self._patience = 0.0  # what is said while the command ends fails at once
                        raise
                    time.sleep(database.RETRY_SECONDS)

        return call

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the surroundings as `StoreError`; what may be a bug passes as it is."""
        try:
            yield
        except SurroundingsError:
            raise
        except Exception as error:
            raise self._fault(error) or error from error.__cause__

    def _fault(self, error: BaseException) -> SurroundingsError | None:
        chain = list(_chain(error))
        for inner in chain:
            if isinstance(inner, SurroundingsError):
                return inner
        for inner in chain:
            if isinstance(inner, requests.RequestException):
                return self._of_request(inner)
            if isinstance(
                inner, sqlalchemy.exc.NoSuchModuleError | ImportError | sqlalchemy.exc.ArgumentError
            ):
                return database.store_error(inner, self._place)
            if isinstance(inner, OSError) and (fault := os_fault(inner)):
                return SurroundingsError(redact(fault))
        if not isinstance(error, MlflowException):
            return None
        said = " ".join(str(error).split())
        status = error.get_http_status_code()
        if status == 401 or "error code 401" in said:
            return self._error(
                f"the server refuses user or password: set them in {VARIABLE}, or in MLFLOW_TRACKING_USERNAME"
                " and MLFLOW_TRACKING_PASSWORD"
            )
        if status == 403 or "error code 403" in said:
            return self._error(
                f"the server does not allow this ({said}): ask whoever runs it, or check {VARIABLE}"
            )
        if error.error_code == "TEMPORARILY_UNAVAILABLE":
            return self._error(f"no answer ({said}): check the server, {database.AGAIN}", passing=True)
        if not self._answered or "valid JSON object" in said or "API request to" in said:
            return self._error(
                f"no usable store of MLflow ({said.partition('. ')[0][:300]}): correct {VARIABLE}"
            )
        return None

    def _of_request(self, error: requests.RequestException) -> StoreError:
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
            return self._error(f"not a URL: correct {VARIABLE}")
        if isinstance(error, requests.exceptions.SSLError):
            return self._error(f"no secure connection ({_last(error)}): check the certificate, or {VARIABLE}")
        told = self._error(
            f"no answer from the tracking server ({_last(error)}): start it or correct {VARIABLE},"
            f" {database.AGAIN}",
            passing=True,
        )
        told.__cause__ = error
        return told

    def _error(self, text: str, *, passing: bool = False) -> StoreError:
        told = StoreError(redact(f"{self._place}: {text}"))
        told.passing = passing
        return told


def _use_engine(uri: str) -> None:
    """Give MLflow's stores an engine that is watched.

    MLflow's own would try for 100 s, and make a folder ``what%3F`` beside one that is called ``what?``.
    """
    if uri not in TrackingStore._engine_map:
        engine = mlflow_database.create_sqlalchemy_engine(uri)
        database.watch(engine, uri)
        TrackingStore._engine_map[uri] = RegistryStore._engine_map[uri] = engine
    if database.sqlite_path(uri) is None:
        with TrackingStore._engine_map[uri].connect() as connection:
            revision = mlflow_database.MigrationContext.configure(connection).get_current_revision()
        database.check_revision(revision, database.shown(uri), local_store(), uri)


def local_store() -> database.Schema:
    """What MLflow keeps in a database."""
    scripts = mlflow_database.ScriptDirectory.from_config(mlflow_database._get_alembic_config(""))
    return database.Schema(
        program="MLflow",
        tables=frozenset(mlflow_database.Base.metadata.tables),
        head=mlflow_database._get_latest_schema_revision(),
        known=frozenset(script.revision for script in scripts.walk_revisions()),
        holds=(
            "select 1 from runs limit 1",
            "select 1 from registered_models limit 1",
            "select 1 from experiments where experiment_id != 0 limit 1",
        ),
        make=_make,
        upgrade="mlflow db upgrade",
    )


def _make(url: str) -> None:
    engine = mlflow_database.create_sqlalchemy_engine(url)
    # its bytes are brought to the disk once, at the end
    sqlalchemy.event.listen(
        engine, "connect", lambda connection, _: connection.execute("pragma synchronous = off")
    )
    mlflow_database._initialize_tables(engine)
    engine.dispose()


@contextlib.contextmanager
def _seconds(seconds: int) -> Iterator[None]:
    """A shorter time-out of MLflow's requests."""
    before = os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(seconds)
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = before


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _inner(error: BaseException) -> Iterator[BaseException]:
    """As `_chain`, and what requests and urllib3 wrap."""
    for one in _chain(error):
        yield one
        for part in (*one.args, getattr(one, "reason", None)):
            if isinstance(part, BaseException):
                yield from _inner(part)


def _never_arrived(error: BaseException) -> bool:
    """Whether no connection was made, so that the server cannot have done what was asked."""
    return any(
        isinstance(one, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        for one in _inner(error)
    )


def _last(error: BaseException) -> str:
    """What was wrong in the end, without the objects that urllib3 names."""
    texts = [str(one) for one in _inner(error) if not isinstance(one, requests.RequestException)]
    text = " ".join((texts[-1] if texts else str(error)).split())
    return text.rpartition(">: ")[2].rpartition("host=")[2][:200] or type(error).__name__


def _clean(value: Any) -> Any:
    """A call's arguments without passwords."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, RunTag):
        return RunTag(value.key, redact(value.value))
    if isinstance(value, Param):
        return Param(value.key, redact(value.value))
    if isinstance(value, Mapping):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_clean(inner) for inner in value)
    return value
