"""Typed settings that families share, and how files are read, checked and edited. No heavy import."""
