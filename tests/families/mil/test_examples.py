"""Which windows of a clip make an epoch."""

from audiomtl.families.mil.examples import _drawn


def test_bag_sampling_is_a_pure_function_of_seed_and_epoch():
    draws = [_drawn(50, 8, seed=3, epoch=epoch, clip=7).tolist() for epoch in range(4)]
    assert draws == [_drawn(50, 8, seed=3, epoch=epoch, clip=7).tolist() for epoch in range(4)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert all(draw == sorted(set(draw)) and len(draw) == 8 for draw in draws)
    assert _drawn(5, 8, seed=3, epoch=0, clip=7).tolist() == [0, 1, 2, 3, 4]
    assert _drawn(5, 0, seed=3, epoch=0, clip=7).tolist() == [0, 1, 2, 3, 4]
