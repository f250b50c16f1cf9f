"""Published files by checksum, from a server on this machine."""

import functools
import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from audiomtl.data import fetch
from audiomtl.errors import MissingData, UserError


@pytest.fixture
def server(tmp_path):
    """(address, folder it serves, what was asked for)."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder, asked
        running.shutdown()


@pytest.fixture
def published(monkeypatch) -> bytes:
    content = b"weights" * 1000
    monkeypatch.setattr(
        fetch,
        "PUBLISHED",
        {"yamnet": ("http://127.0.0.1:9/", {"yamnet.h5": hashlib.sha256(content).hexdigest()})},
    )
    return content


def test_a_file_is_fetched_once(server, published, tmp_path) -> None:
    address, folder, asked = server
    (folder / "yamnet.h5").write_bytes(published)
    for _ in range(2):
        [place] = fetch.fetch("yamnet", tmp_path / "data", address)
        assert place == tmp_path / "data" / "yamnet" / "yamnet.h5" and place.read_bytes() == published
    assert asked == ["/yamnet.h5"]


def test_a_file_that_was_cut_off_is_fetched_again(server, published, tmp_path) -> None:
    address, folder, asked = server
    (folder / "yamnet.h5").write_bytes(published)
    place = tmp_path / "data" / "yamnet" / "yamnet.h5"
    place.parent.mkdir(parents=True)
    place.write_bytes(published[:100])
    fetch.fetch("yamnet", tmp_path / "data", address)
    assert place.read_bytes() == published and asked == ["/yamnet.h5"]


def test_another_checksum_is_refused_and_not_kept(server, published, tmp_path) -> None:
    address, folder, _ = server
    (folder / "yamnet.h5").write_bytes(b"something else")
    with pytest.raises(UserError, match="the checksum differs from that of the published file"):
        fetch.fetch("yamnet", tmp_path / "data", address)
    assert not list((tmp_path / "data").rglob("*.h5"))


def test_no_file_no_server_no_name(server, published, tmp_path) -> None:
    address, _, _ = server
    with pytest.raises(UserError, match=r"cannot be downloaded \(HTTPError\)"):
        fetch.fetch("yamnet", tmp_path, address)
    with pytest.raises(
        UserError, match=r"cannot be downloaded \(ConnectionError\); without a network, copy it to"
    ):
        fetch.fetch("yamnet", tmp_path)
    with pytest.raises(UserError, match="fetch yamnt: no such download"):
        fetch.fetch("yamnt", tmp_path)


def test_the_published_address_and_checksum() -> None:
    address, files = fetch.PUBLISHED["yamnet"]
    assert address.startswith("https://") and all(len(digest) == 64 for digest in files.values())


def test_the_command_says_where_it_is(server, tmp_path, monkeypatch, capsys) -> None:
    from audiomtl import cli

    address, folder, _ = server
    (folder / "yamnet.h5").write_bytes(b"not the published weights")
    monkeypatch.setenv("AUDIOMTL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("sys.argv", ["audiomtl", "data", "fetch", "yamnet", "--mirror", address])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "the checksum differs" in capsys.readouterr().err
    assert not list(Path(tmp_path / "data").rglob("*.h5"))


def test_weights_are_found_the_floats_before_the_integers(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUDIOMTL_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="audiomtl data fetch yamnet"):
        fetch.weights()
    (tmp_path / "yamnet").mkdir()
    for name in ("yamnet.tflite", "yamnet.h5"):
        (tmp_path / "yamnet" / name).write_bytes(name.encode())
        assert fetch.weights() == tmp_path / "yamnet" / name
    assert fetch.weights(str(tmp_path / "yamnet" / "yamnet.tflite")).name == "yamnet.tflite"
    with pytest.raises(MissingData, match="no such file"):
        fetch.weights(str(tmp_path / "other.h5"))


def test_a_changed_file_has_another_digest(tmp_path) -> None:
    place = tmp_path / "weights"
    place.write_bytes(b"one")
    first = fetch.digest(place)
    place.write_bytes(b"other")
    assert first == hashlib.sha256(b"one").hexdigest()[:12] and fetch.digest(place) != first
