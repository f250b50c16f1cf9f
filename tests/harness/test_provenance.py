"""What makes two trainings the same."""

from audiomtl import config
from audiomtl.harness import provenance


def test_settings_seed_data_and_threads_make_a_training() -> None:
    raw = config.load_experiment("mil_songs").raw
    key = provenance.fingerprint(raw, 1, "data", 1)
    assert key == provenance.fingerprint({**raw, "description": "other words"}, 1, "data", 1)
    others = [
        provenance.fingerprint(config.override(raw, {"pooling.name": "max"}), 1, "data", 1),
        provenance.fingerprint(raw, 2, "data", 1),
        provenance.fingerprint(raw, 1, "other data", 1),
        provenance.fingerprint(raw, 1, "data", 2),  # the bits of a convolution's gradient depend on it
    ]
    assert len({key, *others}) == 5
