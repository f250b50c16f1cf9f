"""Batches: every clip once, like lengths together, order a function of (seed, epoch) alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomtl.data.pipeline import batch_order, pad


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=70), st.integers(1, 17), st.integers(0, 9), st.integers(0, 9))
def test_every_index_stands_in_one_batch(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    batches = batch_order(lengths, batch_size, seed=seed, epoch=epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = list(range(20, 120))
    same = [batch_order(lengths, 8, seed=3, epoch=5) for _ in range(2)]
    assert all(np.array_equal(first, second) for first, second in zip(*same, strict=True))
    for other in (batch_order(lengths, 8, seed=3, epoch=6), batch_order(lengths, 8, seed=4, epoch=5)):
        assert not all(np.array_equal(first, second) for first, second in zip(same[0], other, strict=True))


def test_clips_of_like_length_stand_together() -> None:
    lengths = np.random.default_rng(0).integers(50, 500, 256)
    batches = batch_order(lengths, 16, seed=0, epoch=0)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    shuffled = np.random.default_rng(1).permutation(lengths).reshape(-1, 16)
    assert padded < 1.2 * lengths.sum() < (shuffled.max(1) * 16).sum()


@pytest.mark.parametrize("width", [(), (3,)])
def test_pad_keeps_rows_and_counts_them(width: tuple[int, ...]) -> None:
    rows = [np.ones((length, *width), np.float32) for length in (2, 0, 5)]
    padded, lengths = pad(rows, at_least=6)
    assert padded.shape == (3, 6, *width) and lengths.tolist() == [2, 0, 5]
    assert [row.sum() for row in padded] == [row.sum() for row in rows]
