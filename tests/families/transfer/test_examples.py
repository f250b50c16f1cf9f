"""Batches of bags of patches."""

import numpy as np

from audiomtl.families.transfer.examples import Example, _collate


def test_mixup_mixes_targets_as_it_mixes_patches() -> None:
    examples = [
        Example(str(label), np.full((label + 1, 2), float(10**label), np.float32), label)
        for label in range(3)
    ]
    batch = _collate(examples, 3, 0.4, 0.0, np.random.default_rng(3))
    assert batch["counts"].tolist() == [1, 2, 3] and np.allclose(batch["targets"].sum(axis=1), 1)
    ends = np.cumsum(batch["counts"])
    for number, end in enumerate(ends):
        expected = batch["targets"][number] @ np.array([1.0, 10.0, 100.0])
        assert np.allclose(batch["patches"][end - batch["counts"][number] : end], expected, rtol=1e-5)
    plain = _collate(examples, 3, 0.0, 0.1, np.random.default_rng(3))
    assert np.allclose(plain["targets"], 0.9 * np.eye(3) + 0.1 / 3)
    assert batch["targets"].max(axis=1).min() < 1  # some were mixed
