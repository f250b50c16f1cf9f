"""audiomtl: sweep, track, reproduce and ablate audio networks. The README says how; DESIGN words are in its glossary."""

__version__ = "0.1.0"
