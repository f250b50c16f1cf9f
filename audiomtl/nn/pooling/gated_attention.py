"""gated_attention: one learned weight per window, gated."""

from keras import layers

from audiomtl.nn.pooling.attention import Attention
from audiomtl.settings.pooling import Pooling as Settings


def layer(settings: Settings) -> layers.Layer:
    return Attention(settings.units, gated=True, name="pooling")
