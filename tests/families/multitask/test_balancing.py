"""Balancing: each formula against numbers worked by hand, absent tasks without influence, state that
comes back.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from audiomtl.families.multitask import balancing
from audiomtl.families.multitask.balancing import (
    Balancing,
    cagrad,
    dynamic_weight_average,
    gradnorm,
    imtl,
    mgda,
    uncertainty,
)

G = np.array([[1.0, 0.0], [-1.0, 1.0]], np.float32)  # two gradients at 135 degrees

METHODS = balancing.methods()
BY_GRADIENTS = [name for name in METHODS if hasattr(balancing.kind(name), "direction")]


class Two:
    """A shared vector and one number per head: losses are ``a . shared + head``."""

    def __init__(self, gradients=G) -> None:
        self.shared = tf.Variable(np.full(gradients.shape[1], 3.0, np.float32))
        self.heads = [tf.Variable(2.0) for _ in gradients]
        self.gradients = tf.constant(gradients)

    def step(self, balancer: Balancing, present=None) -> tuple[np.ndarray, list[float], float]:
        """Gradient on the shared vector, on the heads, and the scalar."""
        present = tf.constant([1.0] * len(self.heads) if present is None else present)
        variables = [self.shared, *self.heads, *balancer.trainable_variables]
        with tf.GradientTape() as outer:
            with tf.GradientTape(persistent=True) as inner:
                losses = [
                    (tf.reduce_sum(row * self.shared) + head + 10.0) * present[task]
                    for task, (row, head) in enumerate(
                        zip(tf.unstack(self.gradients), self.heads, strict=True)
                    )
                ]
            total = balancer.combine(losses, present, inner, [self.shared])
        shared, *heads = outer.gradient(total, variables, unconnected_gradients="zero")
        return np.asarray(shared), [float(one) for one in heads[: len(self.heads)]], float(total)


def test_there_are_ten() -> None:
    assert len(METHODS) == len(set(METHODS)) == 10
    with pytest.raises(ValueError, match="method must be one of"):
        Balancing("magic", [1.0])


# ---------------------------------------------------------------- formulas by hand


def test_fixed_weights_scale_losses() -> None:
    shared, heads, total = Two().step(Balancing("fixed", [2.0, 0.5]))
    assert np.allclose(shared, 2 * G[0] + 0.5 * G[1]) and heads == [2.0, 0.5]
    assert total == pytest.approx(2 * 15 + 0.5 * 12)  # losses 3 + 2 + 10 and -3 + 3 + 2 + 10


def test_uncertainty_by_hand() -> None:
    balancer = Balancing("uncertainty", [1.0, 1.0])
    balancer.log_variances.assign([0.0, np.log(2.0)])
    _, heads, total = Two().step(balancer)
    assert total == pytest.approx(15 / 2 + 12 / 4 + np.log(2) / 2) and heads == pytest.approx([0.5, 0.25])
    assert [variable.name for variable in balancer.trainable_variables] == ["log_variances"]
    with tf.GradientTape() as tape:
        total = uncertainty.uncertainty(
            tf.constant([4.0, 6.0]), tf.convert_to_tensor(balancer.log_variances), tf.ones(2)
        )
    assert np.allclose(tape.gradient(total, balancer.log_variances), [-4 / 2 + 0.5, -6 / 4 + 0.5])


def test_dynamic_weights_by_hand() -> None:
    got = dynamic_weight_average.dynamic_weights(tf.constant([1.0, 3.0]), tf.constant([2.0, 3.0]), 2.0)
    shares = np.exp([0.25, 0.5])
    assert np.allclose(got, 2 * shares / shares.sum())
    balancer, two = Balancing("dynamic_weight_average", [1.0, 1.0]), Two()
    for epoch in range(3):
        balancer.begin_epoch()
        _, heads, _ = two.step(balancer)
        if epoch < 2:
            assert heads == [1.0, 1.0]  # two epochs are needed first
        two.heads[0].assign_sub(6.0)  # the first task falls fast
    assert heads[0] < 1 < heads[1] and sum(heads) == pytest.approx(2)
    assert np.allclose(
        heads,
        dynamic_weight_average.dynamic_weights(tf.constant([9.0, 12.0]), tf.constant([15.0, 12.0]), 2.0),
    )


def test_random_weights_are_drawn_anew_from_the_seed() -> None:
    draws = [
        [Two().step(balancer)[1] for _ in range(2)]
        for balancer in (Balancing("random", [1, 1], seed=3), Balancing("random", [1, 1], seed=3))
    ]
    assert draws[0] == draws[1] and draws[0][0] != draws[0][1] and sum(draws[0][0]) == pytest.approx(2)
    assert draws[0][0] != Two().step(Balancing("random", [1, 1], seed=4))[1]


def test_the_geometric_mean_by_hand() -> None:
    _, heads, total = Two().step(Balancing("geometric", [1.0, 1.0]))
    mean = np.sqrt(15 * 12)
    assert total == pytest.approx(mean, rel=1e-5) and heads == pytest.approx(
        [mean / 2 / 15, mean / 2 / 12], rel=1e-5
    )


def test_pcgrad_by_hand() -> None:
    """g1 = (1, 0) loses its part against g2 = (-1, 1): (1/2, 1/2); g2 loses its part against g1: (0, 1)."""
    shared, heads, _ = Two().step(Balancing("pcgrad", [1.0, 1.0]))
    assert np.allclose(shared, [0.5, 1.5], atol=1e-6) and heads == [1.0, 1.0]
    friends = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    assert np.allclose(Two(friends).step(Balancing("pcgrad", [1.0, 1.0]))[0], [2.0, 1.0])


def test_mgda_by_hand() -> None:
    """The shortest point between (1, 0) and (-1, 1) is (1/5, 2/5): weights 3/5 and 2/5; times two tasks."""
    shared, heads, _ = Two().step(Balancing("mgda", [1.0, 1.0]))
    assert np.allclose(shared, [0.4, 0.8], atol=1e-4) and heads == [1.0, 1.0]
    products = np.array([[1.0, 1.0], [1.0, 2.0]], np.float32)  # (1, 0) and (1, 1): the shorter one itself
    assert np.allclose(mgda.shortest(tf.constant(products), tf.ones(2)), [1.0, 0.0], atol=1e-5)


def test_imtl_projects_equally() -> None:
    shared, _, _ = Two().step(Balancing("imtl", [1.0, 1.0]))
    units = G / np.linalg.norm(G, axis=1, keepdims=True)
    projections = units @ shared
    assert projections[0] == pytest.approx(projections[1], abs=1e-4)
    three = np.array([[1.0, 0.0, 0.2], [-0.5, 1.0, 0.0], [0.0, 0.3, 2.0]], np.float32)
    weights = imtl.impartial(tf.constant(three)).numpy()
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert np.ptp(three / np.linalg.norm(three, axis=1, keepdims=True) @ (weights @ three)) < 1e-5


def test_cagrad_is_the_best_worst_task_near_the_mean() -> None:
    """Against a search over all directions within c |g0| of g0."""
    c, mean = 0.5, G.mean(axis=0)
    coefficients = cagrad.conflict_averse(tf.constant(G @ G.T), tf.ones(2), c).numpy()
    got = coefficients @ G
    angles = np.linspace(0, 2 * np.pi, 20001)
    every = mean + c * np.linalg.norm(mean) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best = (every @ G.T).min(axis=1).max()
    assert (got @ G.T).min() == pytest.approx(best, abs=2e-3)
    assert np.linalg.norm(got - mean) == pytest.approx(c * np.linalg.norm(mean), rel=1e-3)
    assert np.allclose(
        cagrad.conflict_averse(tf.constant(G @ G.T), tf.ones(2), 0.0).numpy() @ G, mean, atol=1e-6
    )


def slsqp(value, products: np.ndarray) -> float:
    """The least value over the simplex, by SciPy."""
    return minimize(
        value,
        np.full(len(products), 1 / len(products)),
        args=(products,),
        method="SLSQP",
        bounds=[(0, 1)] * len(products),
        constraints={"type": "eq", "fun": lambda w, _: w.sum() - 1, "args": (products,)},
        options={"ftol": 1e-14, "maxiter": 500},
    ).fun


@pytest.mark.parametrize("tasks", [2, 3, 5, 8])
def test_cagrad_and_mgda_are_solved_as_slsqp_solves_them(tasks) -> None:
    """The improvement of the worst task, and the length of the shortest combination, of conflicting gradients
    of several lengths, to 1e-3.
    """
    random, c, even = np.random.default_rng(tasks), 0.5, np.full(tasks, 1 / tasks)
    solved_cagrad = tf.function(lambda products: cagrad.conflict_averse(products, tf.ones(tasks), c))
    solved_mgda = tf.function(lambda products: mgda.shortest(products, tf.ones(tasks)))

    def improvement(w: np.ndarray, products: np.ndarray) -> float:
        length = np.sqrt(even @ products @ even)
        return w @ products @ even + c * length * np.sqrt(max(w @ products @ w, 1e-24))

    def square(w: np.ndarray, products: np.ndarray) -> float:
        return w @ products @ w

    for _ in range(3):
        rows = random.normal(size=(tasks, tasks + 3)) * np.exp(random.normal(size=(tasks, 1)))
        rows -= random.uniform(0, 1.5) * rows[:1] * (np.arange(tasks) > 0)[:, None]
        products = cagrad.relative(tf.constant(rows)).numpy()
        worst = (products @ solved_cagrad(tf.constant(products)).numpy()).min()
        assert worst == pytest.approx(slsqp(improvement, products), rel=1e-3, abs=1e-5)
        weights = solved_mgda(tf.constant(products)).numpy()
        assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
        assert square(weights, products) == pytest.approx(slsqp(square, products), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("method", ["cagrad", "imtl", "mgda", "pcgrad"])
def test_the_unit_of_the_gradients_does_not_matter(method) -> None:
    rows, ones = np.array([[1.0, 0.0, 0.2], [-1.0, 1.0, 0.0], [0.3, -0.8, 1.0]], np.float32), tf.ones(3)
    found = []
    for unit in (1.0, 1e-6, 1e-15):
        balancer = Balancing(method, [1.0] * 3, seed=2)
        direction = balancing.kind(method).direction(balancer, tf.constant(unit * rows), ones, ones)
        found.append(direction.numpy() / unit)
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], rtol=1e-3, atol=1e-4)


def test_gradnorm_begins_from_the_weights_once() -> None:
    """Equal gradients and speeds, weights 10 and 1: they step as 10 to 1, not as 100 to 1, and what they move
    by is the norm of the gradients themselves, towards (10 + 1) / 2.
    """
    balancer, rows = Balancing("gradnorm", [10.0, 1.0], rate=0.1), np.eye(2, dtype=np.float32)
    shared, _, _ = Two(rows).step(balancer)
    by_hand = np.array([10 - 0.1, 1 + 0.1])
    assert np.allclose(balancer.now, by_hand, rtol=1e-5) and np.allclose(shared, by_hand, rtol=1e-5)


def test_gradnorm_lowers_the_weight_of_the_larger_gradient() -> None:
    """At first all speeds are 1, so the target is the mean norm: 10 and 1 move towards 5.5."""
    balancer = Balancing("gradnorm", [1.0, 1.0], rate=0.01)
    steep = np.array([[10.0, 0.0], [0.0, 1.0]], np.float32)
    shared, _, _ = Two(steep).step(balancer)
    by_hand = np.array([1 - 0.01 * 10, 1 + 0.01 * 1])
    by_hand *= 2 / by_hand.sum()
    assert np.allclose(balancer.now, by_hand, rtol=1e-5) and np.allclose(shared, by_hand @ steep, rtol=1e-5)


def test_gradnorm_leaves_every_task_a_weight() -> None:
    """1 - 0.5 * 10 would be -4: it becomes 0.001, before the weights are scaled to a sum of 2."""
    balancer = Balancing("gradnorm", [1.0, 1.0], rate=0.5)
    gradnorm.direction(balancer, tf.constant([[10.0, 0.0], [0.0, 1.0]]), tf.ones(2), tf.ones(2))
    assert np.allclose(balancer.now, np.array([0.001, 1.5]) * 2 / 1.501, rtol=1e-5)


@pytest.mark.parametrize("asymmetry", [0.5, 1.5])
def test_gradnorm_gives_the_slower_task_more_by_its_asymmetry(asymmetry) -> None:
    """Equal norms; in the second step the losses are 1/3 and 1 of the first ones: speeds of 1/2 and 3/2
    relative to their mean, so that the weighted norms have the targets (1/2)^a and (3/2)^a.
    """
    balancer = Balancing("gradnorm", [1.0, 1.0], rate=0.01, asymmetry=asymmetry)
    rows, present = tf.constant([[1.0, 0.0], [0.0, 1.0]]), tf.ones(2)
    gradnorm.direction(balancer, rows, tf.constant([6.0, 4.0]), present)
    assert np.allclose(balancer.now, [1, 1])  # at the target already
    gradnorm.direction(balancer, rows, tf.constant([2.0, 4.0]), present)
    assert np.allclose(balancer.now, [0.99, 1.01], rtol=1e-5)
    balancer.now.assign([0.5, 1.5])  # here the exponent decides on which side of the target they are
    gradnorm.direction(balancer, rows, tf.constant([2.0, 4.0]), present)
    wanted = np.array([0.5, 1.5]) - 0.01 * np.sign([0.5 - 0.5**asymmetry, 1.5 - 1.5**asymmetry])
    assert np.allclose(balancer.now, 2 * wanted / wanted.sum(), rtol=1e-5)


# ---------------------------------------------------------------- what holds for all


@pytest.mark.parametrize("method", METHODS)
def test_an_absent_task_has_no_loss_and_no_gradient(method) -> None:
    two = Two()
    shared, heads, total = two.step(Balancing(method, [1.0, 1.0]), present=[1.0, 0.0])
    assert heads[1] == 0.0 and np.isfinite([*shared, total]).all()
    assert abs(shared[1]) < 1e-6 and shared[0] > 0  # g2 points along the second number, g1 does not
    nothing = two.step(Balancing(method, [1.0, 1.0]), present=[0.0, 0.0])
    assert np.allclose(nothing[0], 0, atol=1e-6) and nothing[1] == [0.0, 0.0] and np.isfinite(nothing[2])


@pytest.mark.parametrize("method", METHODS)
def test_one_task_is_that_task(method) -> None:
    """Up to the scale that uncertainty gives it."""
    shared, heads, _ = Two(np.array([[1.0, 2.0]], np.float32)).step(Balancing(method, [1.0]))
    scale = 0.5 if method == "uncertainty" else 1.0
    longer = 1.5 if method == "cagrad" else 1.0  # c times the mean on top of the mean
    assert np.allclose(shared, scale * longer * np.array([1.0, 2.0]), rtol=1e-3) and heads[
        0
    ] == pytest.approx(scale, rel=1e-4)


@pytest.mark.parametrize("method", [*BY_GRADIENTS])
def test_a_keras_variable_that_no_loss_reaches_has_no_gradient(method) -> None:
    reached, other = keras.Variable([1.0, 2.0]), keras.Variable([3.0])
    with tf.GradientTape() as outer:
        with tf.GradientTape(persistent=True) as inner:
            losses = [tf.reduce_sum(reached.value**2), tf.constant(0.0)]
        total = Balancing(method, [1.0, 1.0]).combine(
            losses, tf.constant([1.0, 0.0]), inner, [reached, other]
        )
    gradients = outer.gradient(total, [reached.value, other.value])
    assert np.isfinite(gradients[0]).all() and gradients[0][0] > 0 and not np.any(gradients[1])


@pytest.mark.parametrize("method", [*BY_GRADIENTS])
def test_heads_keep_their_own_gradient(method) -> None:
    assert Two().step(Balancing(method, [1.0, 0.5]))[1] == [1.0, 0.5]


@pytest.mark.parametrize("method", METHODS)
def test_state_comes_back(method, tmp_path) -> None:
    """Half of the steps, its variables through a file, the other half: as in one go."""

    def run(balancer: Balancing, two: Two, epochs) -> list:
        said = []
        for _ in epochs:
            balancer.begin_epoch()
            for _ in range(2):
                shared, heads, total = two.step(balancer)
                two.shared.assign_sub(0.05 * shared)
                said.append((*shared.tolist(), *heads, total))
        return said

    whole, two = Balancing(method, [1.0, 2.0], seed=5), Two()
    expected = run(whole, two, range(4))
    first, mine = Balancing(method, [1.0, 2.0], seed=5), Two()
    got = run(first, mine, range(2))
    np.savez(tmp_path / "state.npz", *[variable.numpy() for variable in first.variables])
    config = keras.saving.serialize_keras_object(first)
    again = keras.saving.deserialize_keras_object(config)
    with np.load(tmp_path / "state.npz") as stored:
        for variable, name in zip(again.variables, stored.files, strict=True):
            variable.assign(stored[name])
    assert got + run(again, mine, range(2)) == expected
    assert len(again.variables) >= 7
