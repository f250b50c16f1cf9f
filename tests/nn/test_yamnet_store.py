"""Stored embeddings: those of the network, once per sound, front end and weights, whatever the neighbours."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import audio
from audiomtl.errors import UserError
from audiomtl.nn import yamnet
from audiomtl.nn.yamnet_store import EmbeddingStore, patches_of_file
from tests import warm
from tests.nn import yamnet_weights

LENGTHS = (0.3, 0.975, 1.2, 5.0, 2.0, 7.3, 0.975)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return yamnet_weights.write(tmp_path_factory.mktemp("weights") / "yamnet.h5")


@pytest.fixture(scope="module", autouse=True)
def one_network_of_each_depth() -> Iterator[None]:
    """For all stores here: to build one takes longer than most of these tests."""
    made: dict[tuple[str, int], Any] = {}
    build = EmbeddingStore._forward.func

    def forward(self: EmbeddingStore) -> Any:
        key = (self.digest, self.tail_blocks)
        if key not in made:
            made[key] = build(self)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingStore, "_forward", property(forward))
        yield


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> list[str]:
    folder, random, paths = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0), []
    for number, seconds in enumerate(LENGTHS):
        path = folder / f"{number}.wav"
        audio.save(path, random.uniform(-0.3, 0.3, int(seconds * 16000)), sample_rate=16000)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("blocks", [0, 2])
def test_they_are_the_networks_own_in_order(file, sounds, blocks, tmp_path) -> None:
    store = EmbeddingStore(tmp_path, file, blocks)
    got = store.activations(sounds)
    network = yamnet.set_weights(yamnet.body(blocks), yamnet.read_weights(file))
    assert [len(rows) for rows in got] == [1, 1, 2, 10, 4, 15, 1]
    for path, rows in zip(sounds, got, strict=True):
        expected = network(patches_of_file(path)).numpy()
        assert np.abs(rows - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    assert store.extracted == len(sounds)


def test_neighbours_change_no_bit(file, sounds, tmp_path) -> None:
    together = EmbeddingStore(tmp_path / "all", file).activations(sounds)
    for number in (0, 3, 5):  # one patch, ten, and fifteen in two batches
        alone = EmbeddingStore(tmp_path / str(number), file).activations([sounds[number]])[0]
        assert np.array_equal(alone, together[number])


def test_a_sound_is_computed_once_wherever_it_stands(file, sounds, tmp_path) -> None:
    moved = tmp_path / "moved.wav"
    moved.write_bytes(Path(sounds[3]).read_bytes())
    first = EmbeddingStore(tmp_path / "store", file)
    rows = first.activations([*sounds, str(moved)])
    assert first.extracted == len(sounds) and np.array_equal(rows[-1], rows[3])
    again = EmbeddingStore(tmp_path / "store", file)
    assert again.activations(sounds[::-1])[0].shape == (1, 1024) and again.extracted == 0


def test_other_weights_and_depths_are_other_entries(file, sounds, tmp_path) -> None:
    other = yamnet_weights.write(tmp_path / "other.h5", seed=1)
    first = EmbeddingStore(tmp_path, file).activations(sounds[:1])[0]
    second = EmbeddingStore(tmp_path, other)
    assert not np.array_equal(second.activations(sounds[:1])[0], first) and second.extracted == 1
    assert EmbeddingStore(tmp_path, file, 1).activations(sounds[:1])[0].shape == (1, 6144)
    deep, deeper = EmbeddingStore(tmp_path, file, 2), EmbeddingStore(tmp_path, file, 3)
    rows = deep.activations(sounds[:1])[0]
    assert deep.size == deeper.size and not np.array_equal(rows, deeper.activations(sounds[:1])[0])
    assert deeper.extracted == 1


def test_other_kernels_make_other_entries(file, sounds, tmp_path, monkeypatch) -> None:
    for kernels, extracted in (("1", 1), ("0", 1), ("1", 0)):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", kernels)
        store = EmbeddingStore(tmp_path, file)
        store.activations(sounds[:1])
        assert store.extracted == extracted, kernels


def test_a_damaged_entry_is_made_again(file, sounds, tmp_path) -> None:
    store = EmbeddingStore(tmp_path, file)
    expected = np.array(store.activations(sounds[:1])[0])
    place = next(tmp_path.glob("*/*.shard"))
    place.write_bytes(place.read_bytes()[:-5])
    again = EmbeddingStore(tmp_path, file)
    assert np.array_equal(again.activations(sounds[:1])[0], expected) and again.extracted == 1


def test_what_cannot_be_read_is_named(file, sounds, tmp_path) -> None:
    with pytest.raises(UserError, match=r"gone\.wav: cannot be read \(No such file"):
        EmbeddingStore(tmp_path, file).activations([*sounds, str(tmp_path / "gone.wav")])


EXTRACT = """
import sys
from pathlib import Path
from audiomtl.nn.yamnet_store import EmbeddingStore
store = EmbeddingStore(Path(sys.argv[1]), Path(sys.argv[2]))
store.activations(sys.argv[3:])
print(store.extracted)
"""


@pytest.mark.slow
def test_two_processes_extract_each_sound_once(file, sounds, tmp_path) -> None:
    """As when two folds are trained side by side: one extraction, not two."""
    words = [str(tmp_path), str(file), *sounds]
    both = [warm.start(words, tmp_path, warm.ENVIRONMENT, EXTRACT) for _ in range(2)]
    printed = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert sum(int(words[-1]) for words in printed) == len(sounds)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clips(file, tmp_path) -> None:
    """Waveforms, patches and rows of a few clips are held, not those of all."""
    random, peaks = np.random.default_rng(0), []
    for clips in (8, 32):
        paths = []
        for number in range(clips):
            paths.append(str(tmp_path / f"{clips}_{number}.wav"))
            audio.save(paths[-1], random.uniform(-0.3, 0.3, 5 * 16000), sample_rate=16000)
        store = EmbeddingStore(tmp_path / "store", file, 2)
        tracemalloc.start()
        store.activations(paths)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    stored = 24 * 10 * 12288 * 4  # bytes of what the further 24 clips leave on disk: 11.8 MB
    assert peaks[1] - peaks[0] < stored / 3
