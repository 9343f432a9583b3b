"""Networks as plain torch modules, for inference and for those who have no orbitconv."""

from orbitconv.nn.folding.fold import fold as fold
from orbitconv.nn.folding.fold import plain_layer as plain_layer
from orbitconv.nn.folding.fold import settle_parametrizations as settle_parametrizations
from orbitconv.nn.folding.freeze import freeze as freeze
