"""The convolutions of an ONNX model in the order of the fused product, where onnxruntime is faster with it.

Each convolution that was a group convolution becomes five nodes (`orbitconv.nn.products.frequencies`). They have a
quarter of its multiply-adds or fewer, but move more numbers: which is faster depends on the layer, the runtime and the
machine. So it is measured, layer by layer and then for the whole network.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from orbitconv._support.optional import import_optional
from orbitconv.bases import FixedBasis
from orbitconv.groups import Cyclic
from orbitconv.nn.folding.marked import coefficients_of
from orbitconv.nn.products.frequencies import Frequencies, in_frequencies
from orbitconv.nn.products.kernel.cosets import cosets_of

GraphOrder = Literal["auto", "dense", "fourier"]
Feed = Mapping[str, np.ndarray]

_PAYS_OFF = 0.95
"""Share of the dense graph's time that the other must take at most."""
_ROUNDS = 12
_SECONDS = 0.4
"""Longest that one comparison may take, but for three rounds."""


class Ordered(NamedTuple):
    """A model, and which order its convolutions have and why, in words; none if there was nothing to choose."""

    model: Any
    words: str


def put_in_order(model: Any, bases: Mapping[str, FixedBasis], feed: Feed, order: GraphOrder) -> Ordered:
    """Write convolutions of a copy of an `onnx.ModelProto` in the order of the fused product.

    There is a basis for each convolution that was a group convolution, by its name in the network. `"dense"` writes
    none, `"fourier"` all that can be, `"auto"` those with which onnxruntime is faster on these images here.
    """
    steps = {} if order == "dense" else _steps_of(model, bases)
    if not steps:
        return Ordered(model, "")
    total = f"{len(steps)} group convolution{'s' if len(steps) > 1 else ''}"
    if order == "fourier":
        return Ordered(_replaced(model, steps), f"{total} in Fourier space, as asked for")
    shares = _shares(model, steps, feed)
    chosen = {index: steps[index] for index, share in shares.items() if share <= _PAYS_OFF}
    if not chosen:
        best = f"in Fourier space each takes {min(shares.values()):.2f} of the time or more"
        return Ordered(model, f"{total} as dense ones: {best}")
    replaced = _replaced(model, chosen)
    share = _compared(model, replaced, feed)
    measured = f"{share:.2f} of the time of the dense graph in onnxruntime on this machine"
    if share > _PAYS_OFF:
        return Ordered(model, f"{total} as dense ones: in Fourier space the network takes {measured}")
    return Ordered(replaced, f"{len(chosen)} of {total} in Fourier space: {measured}")


def _steps_of(model: Any, bases: Mapping[str, FixedBasis]) -> dict[int, Frequencies]:
    """The steps of every convolution that can be written so, by its place among the nodes."""
    weights = {f"{name}.weight": basis for name, basis in bases.items()}
    tables = {table.name: table for table in model.graph.initializer if table.name in weights}
    found: dict[int, Frequencies] = {}
    known: dict[str, Frequencies | None] = {}
    for index, node in enumerate(model.graph.node):
        name = node.input[1] if node.op_type == "Conv" else ""
        if name in tables and _attributes(node).get("group", 1) == 1:
            if name not in known:
                known[name] = _frequencies(tables[name], weights[name])
            if (steps := known[name]) is not None:
                found[index] = steps
    return found


def _frequencies(table: Any, basis: FixedBasis) -> Frequencies | None:
    weight = torch.tensor(_onnx().numpy_helper.to_array(table))
    if weight.shape[2:].numel() == 1 or (coefficients := coefficients_of(weight, basis)) is None:
        return None
    atoms = basis(torch.float64)
    if isinstance(basis.group, Cyclic):
        return in_frequencies(coefficients, atoms)
    cosets = cosets_of(basis.group, atoms)
    return None if cosets is None else in_frequencies(cosets.spread(coefficients), atoms[: len(atoms) // 2])


def _replaced(model: Any, steps: Mapping[int, Frequencies]) -> Any:
    """The model with these nodes written as five steps."""
    onnx = _onnx()
    made = onnx.ModelProto()
    made.CopyFrom(model)
    nodes, tables = [], {}
    for index, node in enumerate(model.graph.node):
        if index in steps:
            new, named = _as_steps(node, steps[index])
            nodes += new
            tables |= named
        else:
            nodes.append(node)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    left = [table for table in model.graph.initializer if table.name in used]
    del made.graph.initializer[:]
    made.graph.initializer.extend(left)
    made.graph.initializer.extend(onnx.numpy_helper.from_array(numbers, name) for name, numbers in tables.items())
    return made


def _as_steps(node: Any, steps: Frequencies) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Five nodes, and their weights, in place of a convolution. Layers that share weights share theirs."""
    make, image = _onnx().helper.make_node, node.input[0]
    weight, result, bias = node.input[1], node.output[0], list(node.input[2:])
    moved = {k: v for k, v in _attributes(node).items() if k not in {"group", "kernel_shape"}}
    inputs, outputs = (len(t) // t.shape[1] for t in (steps.transform, steps.inverse))
    pairs = steps.inverse.shape[1] // 2
    tables = {
        f"{weight}.{name}": table.numpy().astype(np.int64 if table.dtype == torch.int64 else np.float32)
        for name, table in steps._asdict().items()
    }
    made, before = [], image

    def add(kind: str, name: str, *more: str, to: str | None = None, **attributes: Any) -> None:
        nonlocal before
        after = f"{result}.{name}" if to is None else to
        label = f"{node.name or result}.{name}"
        made.append(make(kind, [before, f"{weight}.{name}", *more], [after], name=label, **attributes))
        before = after

    add("Conv", "transform", group=inputs)
    add("Conv", "filters", group=inputs * pairs, **moved)
    add("Gather", "order", axis=1)
    add("Conv", "mixing", group=pairs)
    add("Gather", "back", axis=1)
    add("Conv", "inverse", *bias, to=result, group=outputs)
    return made, tables


def _attributes(node: Any) -> dict[str, Any]:
    value_of = _onnx().helper.get_attribute_value
    return {attribute.name: value_of(attribute) for attribute in node.attribute}


def _shares(model: Any, steps: Mapping[int, Frequencies], feed: Feed) -> dict[int, float]:
    """Time of each layer as steps over that as one convolution; layers of one kind are measured once."""
    inputs = _values(model, {model.graph.node[index].input[0] for index in steps}, feed)
    shares: dict[int, float] = {}
    known: dict[Any, float] = {}
    for index in steps:
        node = model.graph.node[index]
        image = inputs[node.input[0]]
        kind = image.shape, steps[index].mixing.shape, steps[index].filters.shape, repr(_attributes(node))
        if kind not in known:
            alone = _alone(model, node, image)
            known[kind] = _compared(alone, _replaced(alone, {0: steps[index]}), {node.input[0]: image})
        shares[index] = known[kind]
    return shares


def _alone(model: Any, node: Any, image: np.ndarray) -> Any:
    """A model of one node."""
    onnx = _onnx()
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [node],
        "layer",
        [make.make_tensor_value_info(node.input[0], kind, image.shape)],
        [make.make_tensor_value_info(node.output[0], kind, None)],
        [table for table in model.graph.initializer if table.name in set(node.input)],
    )
    return make.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _values(model: Any, names: Iterable[str], feed: Feed) -> dict[str, np.ndarray]:
    """What flows between nodes."""
    onnx = _onnx()
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    names = [name for name in dict.fromkeys(names) if name not in feed]
    there = {output.name for output in seen.graph.output}
    kind = onnx.TensorProto.FLOAT
    seen.graph.output.extend(onnx.helper.make_tensor_value_info(n, kind, None) for n in names if n not in there)
    found = _session(seen).run(names, dict(feed)) if names else []
    return {**feed, **dict(zip(names, found, strict=True))}


def _compared(dense: Any, other: Any, feed: Feed) -> float:
    """Time of a model over that of another, read in turn."""
    sessions = [_session(model) for model in (dense, other)]
    least = [float("inf")] * 2
    until = time.monotonic() + _SECONDS
    for done in range(_ROUNDS):
        if done >= 3 and time.monotonic() > until:
            break
        for place, session in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, dict(feed))
            least[place] = min(least[place], time.perf_counter() - start)
    return least[1] / least[0]


def _session(model: Any) -> Any:
    return session_of(model.SerializeToString())


def session_of(content: bytes) -> Any:
    """A model, ready to run on the CPU."""
    runtime = import_optional("onnxruntime", "export", "Export to ONNX")
    return runtime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _onnx() -> Any:
    return import_optional("onnx", "export", "Export to ONNX")
