"""Settings of the scikit-learn classifiers (``nn/classifiers.py``)."""

from typing import Literal

from audiomtl.settings.table import Count, Positive, Table


class Classifier(Table):
    """One flat table: keys that the named classifier does not use have no effect. Numbers are standardised by train's."""

    name: Literal["random_forest", "svm", "logistic_regression", "nearest_neighbours"]
    trees: Count  # random_forest
    inverse_regularization: Positive  # svm, logistic_regression: C
    neighbours: Count  # nearest_neighbours
    kernel: Literal["linear", "rbf"]  # svm
