"""Networks for any basis and group, and their plain twins."""

from orbitconv.models.small import SmallCNN as SmallCNN
from orbitconv.models.small import SmallGroupCNN as SmallGroupCNN
from orbitconv.models.small import count_parameters as count_parameters
from orbitconv.models.small import width_for_parameters as width_for_parameters
