"""Sums of three tensors and more: in their order, whatever TensorFlow's optimizer makes of the graph."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from audiomtl.nn.fit import seed_everything


def _sums(function: Callable[..., Any], *inputs: Any) -> list[int]:
    """How many tensors each AddN of a call adds, in the graph that is run."""
    context.enable_run_metadata()
    try:
        tf.function(function)(*inputs)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    optimized = [graph.post_optimization_graph for graph in graphs]
    nodes = [node for graph in optimized for node in graph.node]
    nodes += [node for graph in optimized for one in graph.library.function for node in one.node_def]
    assert nodes
    return [node.attr["N"].i for node in nodes if node.op == "AddN"]


def test_gradients_of_what_is_used_several_times_are_added_in_order() -> None:
    seed_everything(0)

    @tf.custom_gradient
    def same(x: tf.Tensor, gradient: tf.Tensor) -> Any:
        return tf.identity(x), lambda upstream: (upstream * gradient, None)

    @tf.function
    def gradient(x: tf.Tensor, gradients: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            uses = [same(x, gradients[number]) for number in range(4)]
            value = tf.reduce_sum(tf.stack(uses))
        return tape.gradient(value, x)

    # float32: 1 is lost beside 1e8; only an order in which the two large ones meet first keeps it
    for gradients in ([1e8, -1e8, 1, 1], [1, 1e8, -1e8, 1], [1, 1e8, 1, -1e8], [1, 1, 1e8, -1e8]):
        wanted = np.cumsum(np.asarray(gradients, np.float32))[-1]
        assert float(gradient(tf.zeros(()), tf.constant(gradients, tf.float32))) == wanted, gradients


def test_no_step_of_a_recurrent_network_with_five_heads_adds_three_at_once() -> None:
    seed_everything(0)
    inputs = keras.Input((None, 3))
    x = keras.layers.LSTM(4, return_sequences=True)(inputs, mask=inputs[:, :, 0] > 0)
    model = keras.Model(inputs, [keras.layers.Dense(2)(x) for _ in range(5)])

    def step(batch: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(batch, training=True)
            value = sum(tf.reduce_mean(one**2) for one in outputs)  # a chain of additions
        return value, tape.gradient(value, model.trainable_variables)

    found = _sums(step, tf.constant(np.random.default_rng(0).normal(size=(2, 6, 3)), tf.float32))
    assert found and max(found) == 2, found
