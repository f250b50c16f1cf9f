"""Recorded numbers rebuilt from their record and compared: what `audiomtl verify` and `audiomtl best` do."""
