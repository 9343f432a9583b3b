"""Convolutions that learn how their filters turn.

The parts, each importing only from those before it: `orbitconv.groups`, `orbitconv.bases`, `orbitconv.metrics`,
`orbitconv.testing`, `orbitconv.nn`, `orbitconv.learn`, `orbitconv.models`, `orbitconv.data`, `orbitconv.train`.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from orbitconv.conversion import convert as convert
    from orbitconv.evaluation import evaluate as evaluate
    from orbitconv.metrics import check as check
    from orbitconv.prediction import predict as predict
    from orbitconv.train import Builder as Builder
    from orbitconv.train import fit as fit
    from orbitconv.train import read_trained as load_network  # noqa: F401
    from orbitconv.train import save_network as save_network

_LATER = {
    "Builder": "train:Builder",
    "check": "metrics:check",
    "convert": "conversion:convert",
    "evaluate": "evaluation:evaluate",
    "fit": "train:fit",
    "load_network": "train:read_trained",
    "predict": "prediction:predict",
    "save_network": "train:save_network",
    "data": "data:",
}
"""What is imported when it is first asked for, so that layers alone are quick to import."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _LATER[name].partition(":")
    found = _import_module(f"{__name__}.{module}")
    return getattr(found, attribute) if attribute else found
