"""What was decoded of an array, kept as long as the array is: scores, tables and pictures of one clip decode
it once.

Contents: `Memory`.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Memory(Generic[T]):
    """Results by array; by identity, so an array must not be changed once it was decoded."""

    def __init__(self, decode: Callable[[list[Any]], Sequence[T]]) -> None:
        """``decode`` gives the results of several arrays, in their order, or of what stands for them."""
        self._decode = decode
        self._kept: dict[int, tuple[weakref.ref[np.ndarray], T]] = {}

    def of(self, arrays: Sequence[np.ndarray], inputs: Sequence[Any] | None = None) -> list[T]:
        """The result of each array; those that are not known are decoded together.

        ``inputs`` stand for the arrays where more than them is read: each the same whenever its array is.
        """
        pairs = zip(arrays, arrays if inputs is None else inputs, strict=True)
        missing = list({id(one): (one, own) for one, own in pairs if id(one) not in self._kept}.values())
        results = self._decode([own for _, own in missing]) if missing else ()
        for (array, _), result in zip(missing, results, strict=True):
            key = id(array)
            reference = weakref.ref(array, lambda _, key=key: self._kept.pop(key, None))  # type: ignore[misc]
            self._kept[key] = (reference, result)
        return [self._kept[id(one)][1] for one in arrays]
