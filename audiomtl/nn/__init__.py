"""Networks, losses, poolings and the one training loop. Importing it imports Keras with pinned settings."""

from audiomtl.surroundings import import_keras

import_keras()
