"""espeak-ng through ctypes: text in, samples and the time of every phone out, the same bytes every time.

The library comes with the package `espeakng-loader` (the extra ``corpora``); it is GPL-3 and used as a tool
only.

espeak-ng keeps state: flutter, noise and the wave's phase go on from one utterance to the next, and neither
its ``SetRandSeed`` nor ending and starting it again brings them back. So a child process loads the library
once and **forks for every utterance**: each begins in the same memory, whatever was spoken before, and a
crash or a print stays outside the caller. Breathy variants (f2, f3, f5, Alicia) also draw random numbers,
which espeak-ng seeds with the clock: the child sets the seed.

Conventions: samples are 16-bit mono at `SAMPLE_RATE`; phone times are samples from the start; phone names are
espeak's IPA, with stress marks; "" is a gap or the silence at the end.

Contents: `Voice`, `Utterance`, `speak`.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from audiomtl.errors import UserError

SAMPLE_RATE = 22050  # Hz, espeak-ng's own
# Numbers of speak_lib.h
SYNCHRONOUS, PHONEME_EVENTS, PHONEME_IPA, DO_NOT_EXIT = 2, 0x0001, 0x0002, 0x8000
UTF8 = 1
RATE, VOLUME, PITCH, RANGE, WORD_GAP = 1, 2, 3, 4, 7
LIST_END, PHONEME = 0, 7
RANDOM_SEED = 1


@dataclass(frozen=True)
class Voice:
    """A voice: language and variant, and how it speaks."""

    name: str  # "de+f2"
    pitch: int  # 0-99, 50 is the variant's own
    pitch_range: int  # 0-99, 0 is monotone
    words_per_minute: int  # 80-450


@dataclass(frozen=True)
class Utterance:
    """What was spoken: ``samples`` (n_samples,) int16, and the name and first sample of each phone."""

    samples: np.ndarray
    phones: tuple[str, ...]
    starts: tuple[int, ...]


def speak(requests: Sequence[tuple[Voice, str]]) -> Iterator[Utterance]:
    """Speak (voice, text) pairs, one after the other; no result depends on another request.

    Raises
    ------
    UserError
        espeakng-loader is not installed, or this system cannot fork.
    RuntimeError
        espeak-ng refused a voice or crashed; the text carries what it wrote.
    """
    if find_spec("espeakng_loader") is None:
        raise UserError(
            "espeakng-loader, which this corpus needs, is not installed: run `make data`, or `pip install"
            " 'audiomtl[corpora]'`"
        )
    if not hasattr(os, "fork"):
        raise UserError(
            f"platform {sys.platform}: generating this corpus needs os.fork (Linux, macOS, WSL); copy a"
            " generated corpus here instead"
        )
    # the folder of the package, for a child that starts in any directory
    root = str(Path(__file__).parents[3])
    paths = [root, *(os.path.abspath(path) for path in sys.path if path)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "LC_ALL": "C.UTF-8",
    }
    # files: pipes would fill up
    with (
        tempfile.TemporaryFile() as orders,
        tempfile.TemporaryFile() as complaints,
    ):
        for voice, text in requests:
            orders.write(json.dumps([asdict(voice), text]).encode() + b"\n")
        orders.seek(0)
        command = [sys.executable, "-m", "audiomtl.data.corpora.espeak"]
        child = subprocess.Popen(
            command, stdin=orders, stdout=subprocess.PIPE, stderr=complaints, env=environment
        )
        assert child.stdout is not None
        try:
            for voice, text in requests:
                header = child.stdout.readline()
                if not header:
                    child.wait()
                    complaints.seek(0)
                    said = " ".join(complaints.read().decode(errors="replace").split())
                    raise RuntimeError(
                        f'espeak-ng gave no speech for {voice} and "{text}", exit status {child.returncode}:'
                        f" {said[-500:]}"
                    )
                n_bytes, phones, starts = json.loads(header)
                samples = np.frombuffer(child.stdout.read(n_bytes), dtype="<i2")
                yield Utterance(samples, tuple(phones), tuple(starts))
        finally:
            child.stdout.close()
            child.kill()  # no effect on a child that has ended
            child.wait()


class _Name(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _data() -> Path:
    import espeakng_loader

    return Path(espeakng_loader.get_data_path())


def _load() -> ctypes.CDLL:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    options = PHONEME_EVENTS | PHONEME_IPA | DO_NOT_EXIT
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, str(_data()).encode(), options)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak_Initialize must return {SAMPLE_RATE} Hz, but gave {rate}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(RANDOM_SEED))  # espeak_Initialize took the clock's second
    return library


def _say(library: ctypes.CDLL, voice: Voice, text: str) -> bytes:
    """One utterance as a line of JSON and the samples' bytes; runs in a fork, once."""
    samples = bytearray()
    phones: list[str] = []
    starts: list[int] = []

    def receive(
        wave: "ctypes._Pointer[ctypes.c_short]", n_samples: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        i = 0
        while events[i].type != LIST_END:
            if events[i].type == PHONEME:
                phones.append(events[i].id.string.decode("utf-8"))
                starts.append(events[i].sample)
            i += 1
        if wave and n_samples > 0:
            samples.extend(ctypes.string_at(wave, 2 * n_samples))
        return 0

    callback = _Callback(receive)  # kept in a name: espeak-ng holds only its address
    library.espeak_SetSynthCallback(callback)
    variant = voice.name.partition("+")[2]
    if variant and not (_data() / "voices" / "!v" / variant).is_file():  # espeak-ng would ignore it
        raise RuntimeError(f"unknown variant {variant} of voice {voice.name}")
    if library.espeak_SetVoiceByName(voice.name.encode()):
        raise RuntimeError(f"unknown voice {voice.name}")
    values = {
        RATE: voice.words_per_minute,
        VOLUME: 100,
        PITCH: voice.pitch,
        RANGE: voice.pitch_range,
        WORD_GAP: 0,
    }
    for parameter, value in values.items():
        if library.espeak_SetParameter(parameter, value, 0):
            raise RuntimeError(f"parameter {parameter} refused {value} for {voice}")
    letters = text.encode() + b"\0"
    if (
        library.espeak_Synth(letters, ctypes.c_size_t(len(letters)), 0, 1, 0, UTF8, None, None)
        or library.espeak_Synchronize()
    ):
        raise RuntimeError(f"could not speak {text}")
    return json.dumps([len(samples), phones, starts]).encode() + b"\n" + bytes(samples)


def _serve() -> int:
    """Answer each line of standard input on standard output, each from a fork of this process."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what the library may print must not get between the answers
    library = _load()
    for line in sys.stdin:
        voice, text = json.loads(line)
        fork = os.fork()
        if fork == 0:
            status = 1
            try:
                answer = memoryview(_say(library, Voice(**voice), text))
                while answer:
                    answer = answer[os.write(answers, answer) :]
                status = 0
            except Exception as error:
                os.write(2, f"{error}\n".encode())
            finally:
                os._exit(status)  # no exit handlers: they belong to the process that forked
        status = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        if status:
            os.write(2, f"the fork ended with status {status}\n".encode())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(_serve())
