"""The families, one module each; `audiomtl.nn` comes first, as it imports Keras with pinned settings."""

import audiomtl.nn  # noqa: F401
