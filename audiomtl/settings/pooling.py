"""Settings of the poolings (``nn/pooling.py``): from windows, or patches, to their clip."""

from typing import Annotated, Literal

from pydantic import Field

from audiomtl.settings.named import FileIn
from audiomtl.settings.shared import Count, NotNegative, Positive, Table


class Pooling(Table):
    """From the windows' answers to the clip's (``nn/pooling.py``). One flat table: keys that the operator does not use have no effect."""

    name: Annotated[str, FileIn("audiomtl.nn.pooling")]
    evaluation: Literal["same", "majority_vote"]  # majority vote cannot be trained
    quantile: Annotated[float, Field(gt=0, lt=1)]
    sharpness: Positive  # log_sum_exp, exponential_softmax: 0 would be mean, infinity max
    top_k: Count  # windows
    units: Count  # attention: its hidden layer; lstm: its state
    heads: Count  # multi_head_attention
    autopool_limit: NotNegative  # largest |alpha| of a class; 0: no limit
    autopool_penalty: NotNegative  # times the sum of alpha squared, added to the loss
