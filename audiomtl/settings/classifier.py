"""Settings of the scikit-learn classifiers (``nn/classifiers.py``)."""

from typing import Literal

from pydantic import Field

from audiomtl.settings.table import Count, Positive, Table, used_when


class Classifier(Table):
    """One flat table: keys that the named classifier does not use may be left out.

    Numbers are standardised by train's.
    """

    name: Literal["random_forest", "extra_trees", "svm", "logistic_regression", "nearest_neighbours"] = Field(
        description="scikit-learn classifier."
    )
    trees: Count = used_when({"name": ("random_forest", "extra_trees")}, description="Number of trees.")
    inverse_regularization: Positive = used_when(
        {"name": ("svm", "logistic_regression")},
        description="Inverse of the regularization strength, scikit-learn's C, above 0.",
    )
    neighbours: Count = used_when(
        {"name": "nearest_neighbours"}, description="Number of neighbours, at most the number of train clips."
    )
    kernel: Literal["linear", "rbf"] = used_when({"name": "svm"}, description="Kernel.")
