"""audiomtl: sweep, track, reproduce and ablate audio networks. The README says how; DESIGN words are in its glossary."""
