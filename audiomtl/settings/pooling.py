"""Settings of the pooling operators (``nn/pooling.py``): from windows, or patches, to their clip."""

from typing import Annotated, Literal

from pydantic import Field

from audiomtl.settings.named import FileIn
from audiomtl.settings.table import Count, NotNegative, Positive, Table, used_when


class Pooling(Table):
    """From the outputs of the windows to that of the clip (``nn/pooling.py``).

    One flat table: keys that the operator does not use may be left out.
    """

    name: Annotated[str, FileIn("audiomtl.nn.pooling")] = Field(
        description="Operator that pools the windows of a clip."
    )
    evaluation: Literal["same", "majority_vote"] = Field(
        description="Pooling in evaluation: the operator itself, or a majority vote of the windows."
    )
    quantile: Annotated[float, Field(gt=0, lt=1)] = used_when(
        {"name": "quantile"}, description="Quantile of the windows' probabilities, in (0, 1)."
    )
    sharpness: Positive = used_when(
        {"name": ("log_sum_exp", "exponential_softmax")},
        description="Sharpness, above 0: towards 0 it is the mean, towards infinity the maximum.",
    )
    top_k: Count = used_when(
        {"name": "top_k"}, description="Number of windows with the largest probability whose mean is taken."
    )
    units: Count = used_when(
        {"name": ("attention", "gated_attention", "lstm")},
        description="Units of the hidden layer of the attention, or of the LSTM.",
    )
    heads: Count = used_when({"name": "multi_head_attention"}, description="Number of attention heads.")
    autopool_limit: NotNegative = used_when(
        {"name": "autopool"},
        description="Largest absolute value of a class's learned sharpness; 0 sets no limit.",
    )
    autopool_penalty: NotNegative = used_when(
        {"name": "autopool"}, description="Weight of the sum of squared sharpness in the loss, at least 0."
    )
