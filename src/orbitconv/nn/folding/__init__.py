"""Networks as plain torch modules, for inference and for those who have no orbitconv."""

from orbitconv.nn.folding.fold import fold as fold
from orbitconv.nn.folding.freeze import freeze as freeze
