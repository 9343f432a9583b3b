"""Networks of escnn and e2cnn as files: what they are made of, an input and their output, without the libraries.

`record` writes the attributes and tensors of a network into one file. `replay` builds stand-ins of them: modules with
the names of their classes and the same attributes and tensors, but without a forward.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOLDER = Path(__file__).parents[1] / "interop" / "recorded"
_PLAIN = (bool, int, float, str, type(None))


@dataclass
class Recorded:
    """A recorded network.

    Args:
        library: escnn or e2cnn.
        version: Its version.
        module: The stand-in.
        images: An input.
        outputs: What the network gave for it.
        features: What its first layers gave, on the group.
    """

    library: str
    version: str
    module: nn.Module
    images: Tensor
    outputs: Tensor
    features: Tensor


def record(path: Path, library: str, version: str, module: nn.Module, **data: Tensor) -> None:
    """Write a network with images, outputs and features."""
    writer = _Writer(library)
    tree = {"library": library, "version": version, "module": writer.module(module), "spaces": writer.spaces}
    arrays = {f"t{key}": tensor.detach().numpy() for key, tensor in enumerate(writer.tensors)}
    arrays |= {name: tensor.detach().numpy() for name, tensor in data.items()}
    np.savez_compressed(path, tree=json.dumps(tree), **arrays)


def replay(path: Path) -> Recorded:
    """Read a network as stand-ins."""
    with np.load(path, allow_pickle=False) as stored:
        tensors = {key: torch.from_numpy(stored[key]) for key in stored.files if key != "tree"}
        tree = json.loads(str(stored["tree"]))
    data = {name: tensors.pop(name) for name in ("images", "outputs", "features")}
    spaces = [_space(tree["library"], described) for described in tree["spaces"]]
    module = _module(tree["module"], spaces, tensors)
    return Recorded(tree["library"], tree["version"], module, **data)


class _Writer:
    def __init__(self, library: str) -> None:
        self.library, self.spaces, self.tensors = library, [], []
        self.known: list[Any] = []

    def module(self, module: Any) -> dict[str, Any]:
        kind = type(module)
        node: dict[str, Any] = {"training": module.training, "tensors": {}, "children": {}, "attributes": {}}
        if kind.__module__.startswith(self.library):
            node["class"] = [kind.__module__, kind.__name__]
            own = {name: self.attribute(vars(module)[name]) for name in vars(module).keys() - vars(nn.Module()).keys()}
            node["attributes"] = {name: value for name, value in sorted(own.items()) if value is not None}
        else:
            node["torch"] = repr(module) if not module._modules else "Sequential()"
        for name, tensor in {**module._parameters, **module._buffers}.items():
            node["tensors"][name] = None if tensor is None else [self.tensor(tensor), name in module._parameters]
        node["children"] = {name: self.module(child) for name, child in module._modules.items()}
        return node

    def tensor(self, tensor: Tensor) -> int:
        for key, known in enumerate(self.tensors):
            if known is tensor:
                return key
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def attribute(self, value: Any) -> dict[str, Any] | None:
        if isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(v, _PLAIN) for v in value)):
            return {"value": value}
        if hasattr(value, "gspace"):
            return {"type": [self.space(value), [kind.name for kind in value.representations]]}
        return {"function": value.__name__} if callable(value) and hasattr(F, getattr(value, "__name__", "")) else None

    def space(self, field_type: Any) -> int:
        space = field_type.gspace
        if space not in self.known:
            self.known.append(space)
            elements = list(space.fibergroup.elements)
            described = {"name": space.name, "dimensionality": space.dimensionality, "kinds": {}}
            if self.library == "escnn":
                described["actions"] = [np.round(space.basespace_action(e), 12).tolist() for e in elements]
            else:
                described |= {"elements": elements, "axis": getattr(space, "axis", None)}
            self.spaces.append(described)
        key = self.known.index(space)
        for kind in field_type.representations:
            matrices = [np.atleast_2d(kind(e)) for e in space.fibergroup.elements]
            self.spaces[key]["kinds"][kind.name] = np.round(matrices, 12).tolist()
        return key


def _space(library: str, described: dict[str, Any]) -> SimpleNamespace:
    """A space whose elements are those that were recorded, or their numbers."""
    some = next(iter(described["kinds"].values()))
    elements = [tuple(e) if isinstance(e, list) else e for e in described.get("elements", range(len(some)))]
    space = SimpleNamespace(
        name=described["name"], dimensionality=described["dimensionality"],
        fibergroup=SimpleNamespace(elements=elements, order=lambda: len(elements)),
    )  # fmt: skip
    if library == "escnn":
        space.basespace_action = lambda element: np.array(described["actions"][element])
    elif described["axis"] is not None:
        space.axis = described["axis"]
    space.kinds = {
        name: _Kind(name, dict(zip(elements, matrices, strict=True))) for name, matrices in described["kinds"].items()
    }
    return space


@dataclass
class _Kind:
    name: str
    matrices: dict[Any, Any]

    def __call__(self, element: Any) -> np.ndarray:
        return np.array(self.matrices[element])


def _module(node: dict[str, Any], spaces: list[SimpleNamespace], tensors: dict[str, Tensor]) -> nn.Module:
    module = _stand_in(*node["class"])() if "class" in node else eval(f"nn.{node['torch']}", {"nn": nn})
    for name, value in node["attributes"].items():
        setattr(module, name, _attribute(value, spaces))
    for name, stored in node["tensors"].items():
        tensor = None if stored is None else tensors[f"t{stored[0]}"].clone()
        if stored is not None and stored[1]:
            tensor = nn.Parameter(tensor, requires_grad=name != "mask")
        setattr(module, name, tensor) if name in module._buffers or isinstance(tensor, nn.Parameter) else (
            module.register_buffer(name, tensor)
        )
    for name, child in node["children"].items():
        module.add_module(name, _module(child, spaces, tensors))
    module.training = node["training"]
    return module


def _attribute(value: dict[str, Any], spaces: list[SimpleNamespace]) -> Any:
    if "type" in value:
        key, names = value["type"]
        return SimpleNamespace(gspace=spaces[key], representations=[spaces[key].kinds[name] for name in names])
    if "function" in value:
        return getattr(F, value["function"])
    plain = value["value"]
    return tuple(plain) if isinstance(plain, list) else plain


@functools.cache
def _stand_in(place: str, name: str) -> type[nn.Module]:
    """A class of their name, with what a conversion asks for."""
    return type(
        name, (nn.Module,), {"__module__": place, "basisexpansion": property(lambda self: self._basisexpansion)}
    )
