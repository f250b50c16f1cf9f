"""Batches made ahead: the next one in a thread, while the step of the one before computes.

Contents: `ahead`.
"""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def ahead(batches: Iterable[Any]) -> Generator[Any, None, None]:
    """The same batches in the same order, each made by a thread while the one before is in use.

    What is raised while a batch is made is raised here, in its place, as it was. The thread ends with the
    iterator: use it under `contextlib.closing`, or to its end.
    """
    end = object()
    iterator = iter(batches)
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        batch = thread.submit(next, iterator, end)
        while (made := batch.result()) is not end:
            batch = thread.submit(next, iterator, end)
            yield made
