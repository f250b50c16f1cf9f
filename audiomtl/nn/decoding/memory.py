"""What was decoded of an array, kept as long as the array is: scores, tables and pictures of one clip decode
it once.

Contents: `Memory`.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Memory(Generic[T]):
    """Results by array; by identity, so an array must not be changed once it was decoded."""

    def __init__(self, decode: Callable[[list[np.ndarray]], Sequence[T]]) -> None:
        """``decode`` gives the results of several arrays, in their order."""
        self._decode = decode
        self._kept: dict[int, tuple[weakref.ref[np.ndarray], T]] = {}

    def of(self, arrays: Sequence[np.ndarray]) -> list[T]:
        """The result of each array; those that are not known are decoded together."""
        missing = list({id(one): one for one in arrays if id(one) not in self._kept}.values())
        for array, result in zip(missing, self._decode(missing) if missing else (), strict=True):
            key = id(array)
            reference = weakref.ref(array, lambda _, key=key: self._kept.pop(key, None))  # type: ignore[misc]
            self._kept[key] = (reference, result)
        return [self._kept[id(one)][1] for one in arrays]
