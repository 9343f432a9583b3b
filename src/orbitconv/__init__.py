"""Convolutions that learn how their filters turn.

The parts, each importing only from those before it: `orbitconv.groups`, `orbitconv.bases`, `orbitconv.metrics`,
`orbitconv.testing`, `orbitconv.nn`, `orbitconv.learn`, `orbitconv.models`, `orbitconv.data`, `orbitconv.train`.
"""

from importlib.metadata import version as _version

from orbitconv.bases import ExactBasis as ExactBasis
from orbitconv.bases import UnitaryBasis as UnitaryBasis
from orbitconv.groups import Cyclic as Cyclic
from orbitconv.groups import Dihedral as Dihedral
from orbitconv.learn import measure_moments as measure_moments
from orbitconv.nn import GroupBatchNorm2d as GroupBatchNorm2d
from orbitconv.nn import GroupConv2d as GroupConv2d
from orbitconv.nn import GroupPool as GroupPool
from orbitconv.nn import LiftingConv2d as LiftingConv2d

__version__ = _version("orbitconv")

# Names for `from orbitconv import *`: without this list, the subpackage `nn` would replace `torch.nn`.
__all__ = [
    "Cyclic",
    "Dihedral",
    "ExactBasis",
    "GroupBatchNorm2d",
    "GroupConv2d",
    "GroupPool",
    "LiftingConv2d",
    "UnitaryBasis",
    "measure_moments",
]
