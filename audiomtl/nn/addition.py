"""Sums of several tensors, in the order in which they are given. Contents: `add_in_order`.

TensorFlow's kernel AddN takes as the first operand whichever one's memory it may reuse
(tensorflow/core/kernels/aggregate_ops.cc). Which one that is depends on the kernels that have ended by then,
so a sum of three or more tensors differs in its last bits from run to run, with deterministic kernels too;
two tensors have the same sum either way. The gradients of a tensor that is used three times are added so.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import gen_math_ops  # its own gradients look up `add_n` there

_add_n = gen_math_ops.add_n


def add_in_order() -> None:
    """Let TensorFlow add tensors, above all gradients, two at a time and in their order, in this process.

    The arithmetic optimizer would make one AddN of a chain of additions; it is switched off.
    """
    gen_math_ops.add_n = _two_at_a_time
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def _two_at_a_time(inputs: Sequence[Any], name: str | None = None) -> Any:
    total = inputs[0]
    for one in inputs[1:]:
        total = _add_n([total, one])
    return total if len(inputs) > 1 else _add_n(inputs, name=name)
