"""Batches made ahead by a thread."""

import threading
from contextlib import closing

import pytest

from audiomtl.nn.prefetch import ahead


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_batches_come_in_their_order(count: int) -> None:
    assert list(ahead(range(count))) == list(range(count))


def test_the_next_batch_is_made_while_the_last_one_is_in_use() -> None:
    made = [threading.Event() for _ in range(3)]
    makers = set()

    def batches():
        for number, event in enumerate(made):
            makers.add(threading.current_thread())
            event.set()
            yield number

    for number in ahead(batches()):
        assert all(event.wait(30) for event in made[: number + 2])
        assert not any(event.is_set() for event in made[number + 2 :])  # and no more than that one
    assert threading.current_thread() not in makers and len(makers) == 1


@pytest.mark.parametrize("error", [ValueError("of its own"), KeyboardInterrupt()])
def test_an_error_comes_out_as_itself_behind_the_batches_before_it(error: BaseException) -> None:
    def batches():
        yield from (1, 2)
        raise error

    made = ahead(batches())
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(type(error)) as caught:
        next(made)
    assert caught.value is error


def test_no_thread_stays_when_the_batches_are_left() -> None:
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="step"), closing(ahead(range(100))) as batches:
        for _ in batches:
            raise RuntimeError("step")
    assert set(threading.enumerate()) == before
