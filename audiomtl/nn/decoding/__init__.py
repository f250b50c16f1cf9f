"""From a network's outputs to phones, notes and segments. Nothing here learns by gradient."""
