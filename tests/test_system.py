"""What the operating system refuses, in words; sockets in folders with long names."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiomtl.system import os_fault


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EMFILE, "too many open files"),
        (errno.EISDIR, "a folder stands where a file belongs"),
    ],
)
def test_a_fault_of_the_machine_has_place_reason_and_remedy(code, words) -> None:
    text = os_fault(OSError(code, os.strerror(code), "/data/x"))
    assert text.startswith("/data/x: ") and words in text and "\n" not in text


def test_what_may_be_a_bug_is_no_fault_of_the_machine(tmp_path) -> None:
    assert os_fault(FileNotFoundError(errno.ENOENT, "no such file", "/data/x")) == ""
    assert os_fault(FileExistsError(errno.EEXIST, "exists", str(tmp_path))) == ""
    assert os_fault(OSError("text alone")) == ""


def test_the_file_that_is_in_the_way_of_a_folder_is_named(tmp_path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(OSError) as caught:
        (tmp_path / "runs" / "a" / "b").mkdir(parents=True)
    assert os_fault(caught.value).startswith(f"{tmp_path / 'runs'}: a file stands where a folder belongs")


SERVER = """
import multiprocessing, os, tempfile
from multiprocessing import util
import audiomtl.harness
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=os.getpid)
    process.start()
    process.join()
    print(process.exitcode, util.get_temp_dir(), tempfile.gettempdir())
"""


@pytest.mark.parametrize("length", [10, 100])
def test_the_server_of_trainings_starts_whatever_the_length_of_tmpdir(tmp_path, length) -> None:
    folder = Path("/tmp") / f"audiomtl-{os.getpid()}-{'x' * length}"
    folder.mkdir()
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    try:
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
        )
        code, sockets, temporary = done.stdout.split()
        assert code == "0" and temporary == str(folder), done.stderr
        assert not Path(sockets).exists()  # removed with the process
    finally:
        folder.rmdir()
