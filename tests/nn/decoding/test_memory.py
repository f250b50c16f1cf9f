"""Each array is decoded once, together with others, and forgotten when it is gone."""

import gc

import numpy as np

from audiomtl.nn.decoding.memory import Memory


def test_an_array_is_decoded_once_and_forgotten_with_it() -> None:
    asked: list[int] = []

    def decode(arrays: list[np.ndarray]) -> list[float]:
        asked.append(len(arrays))
        return [float(one.sum()) for one in arrays]

    memory = Memory(decode)
    arrays = [np.full(2, number) for number in range(3)]
    assert memory.of(arrays[:2]) == [0.0, 2.0]
    assert memory.of([arrays[1], arrays[2], arrays[2]]) == [2.0, 4.0, 4.0]
    assert asked == [2, 1] and memory.of([]) == []
    del arrays
    gc.collect()
    assert not memory._kept
