"""The report as self-contained HTML: no network, no library but a small script of its own."""
