"""Networks as files that load without this library."""

import contextlib
import copy
import io
import json
import logging
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from orbitconv._support.checks import check_network, check_positive
from orbitconv._support.files import write_atomically
from orbitconv._support.optional import import_optional
from orbitconv.bases import FixedBasis
from orbitconv.data.scaling import Scaling
from orbitconv.nn.folding.marked import fold_marked
from orbitconv.nn.folding.rules import FUNCTION_RULES, RULES
from orbitconv.onnx_graph import GraphOrder, put_in_order, session_of

FileFormat = Literal["torch", "onnx", "torchscript"]
Run = Callable[[Float[Tensor, "b c h w"]], Tensor]


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked."""

    path: Path
    """The file."""
    any_size: bool
    """Whether it takes images of any height and width, as it does batches of any size."""
    error: float
    """Largest deviation of its output from the network's, relative to the largest output."""
    reason: str = ""
    """Why it takes images of one size only although the network takes others; empty otherwise."""
    graph: str = ""
    """In which order its group convolutions multiply, and why; empty where there was no choice."""


def export_model(
    network: nn.Module,
    path: str | Path,
    file_format: FileFormat,
    image_shape: tuple[int, int, int],
    *,
    scaling: Scaling | None = None,
    facts: Mapping[str, str] | None = None,
    graph: GraphOrder = "auto",
) -> Exported:
    """Write a network as plain torch modules, ONNX or TorchScript; filters are expanded, batch norm is merged.

    The file takes batches of any size, and images of any size where the network does and the format can say so; else
    images of one size, and refuses others (`reason` of the result tells why). Before it appears it is read back and
    compared with the network, on other batches and images than it was made with.

    Args:
        network: Any module of one planar input and one output that `orbitconv.nn.fold` knows; it is left as it is.
        path: File to write; one that is there is replaced.
        file_format: `"torch"`: a module for `torch.load(path, weights_only=False)`, which may be trained on; `"onnx"`:
            needs the extra `export`; `"torchscript"`: for `torch.jit.load`, also from C++.
        image_shape: Channels, height and width of an image.
        scaling: How the numbers of picture files become those that the network takes; the file then takes the numbers
            of picture files, as floats, and scales them itself.
        facts: What else the file shall say, such as class names: the metadata of ONNX, an extra file `facts.json` of
            TorchScript, the attribute `facts` of a torch module.
        graph: How group convolutions of cyclic groups and steerable bases are written in ONNX: `"dense"`, each as one
            convolution; `"fourier"`, each as five steps with a quarter of the multiply-adds or fewer; `"auto"`, those
            as steps with which onnxruntime is faster on this machine, which takes seconds to measure.

    Returns:
        The file, and how it was checked.

    Raises:
        ArithmeticError: If the file gives other output than the network.
        ModuleNotFoundError: If a library for the format is not installed.
        TypeError: If the network calls a layer that cannot be folded, or returns something else than a tensor.
        ValueError: If the network does not take such images, or branches on values; if the format has no such
            operation.
    """
    check_network("export_model", network)
    if file_format not in get_args(FileFormat):
        raise ValueError(f"export_model expects the format 'torch', 'onnx' or 'torchscript', got {file_format!r}.")
    if graph not in get_args(GraphOrder):
        raise ValueError(f"export_model expects the graph 'auto', 'dense' or 'fourier', got {graph!r}.")
    channels, height, width = image_shape
    check_positive("export_model", channels=channels, height=height, width=width)
    network = copy.deepcopy(network).cpu().eval()
    dtype = next((p.dtype for p in network.parameters()), torch.get_default_dtype())
    if file_format == "onnx" and dtype != torch.float32:
        raise ValueError(f"export_model expects a float32 network for onnx, got {dtype}. Convert it: network.float().")
    draw = torch.Generator().manual_seed(0)

    def images(batch: int, height: int, width: int) -> Tensor:
        x = torch.randn(batch, channels, height, width, generator=draw).to(dtype)
        return x if scaling is None else _unscaled(x.sigmoid(), scaling)

    plain = network
    if scaling is not None:
        network = _Scaled(plain, scaling)
    with torch.no_grad():
        _check_runs(network, images(2, height, width))
        others = [images(3, 2 * height, 2 * width), images(1, height + 3, width + 1)]
        accepted = [x for x in others if _takes(network, x)]
        any_size = len(accepted) > 0 and accepted[0] is others[0]
        example = images(2, height, width)
        folded, bases = _folded(plain, example if scaling is None else scaling.apply(example))
        if scaling is not None:
            _scale_first(folded, scaling)

        def attempt(folded: fx.GraphModule, *, any_size: bool) -> tuple[_Written, float]:
            written = _WRITERS[file_format](folded, _Wanted(example, any_size, dict(facts or {}), bases, graph))
            tried = (images(3, height, width), *(accepted if any_size else ()))
            error = max(_deviation(written.run, network, x) for x in tried)
            tolerance = _tolerance(file_format, dtype)
            if not error <= tolerance:
                raise ArithmeticError(
                    f"export_model wrote no file: the output of {file_format!r} is off by {error:.1e} of the largest "
                    "value, at another size of batch or image than it was made with. Look for branches on the shape of "
                    "the input, or try another format."
                )
            return written, error

        reason = ""
        try:
            written, error = attempt(copy.deepcopy(folded), any_size=any_size)
        except (ArithmeticError, ValueError) as failure:
            if not any_size:
                raise
            reason, any_size = _reason(failure), False
            if file_format != "onnx":  # which knows the sizes of its input
                _refuse_other_sizes(folded, height, width)
            written, error = attempt(folded, any_size=False)
    write_atomically(Path(path), written.content)
    return Exported(Path(path), any_size, error, reason, written.graph)


class _Wanted(NamedTuple):
    """What a file shall hold beside the network: the bases are those of its convolutions."""

    example: Tensor
    any_size: bool
    facts: dict[str, str]
    bases: Mapping[str, FixedBasis]
    graph: GraphOrder


class _Written(NamedTuple):
    """A file, and the function that it is once loaded."""

    content: bytes
    run: Run
    graph: str = ""


def _folded(plain: nn.Module, example: Tensor) -> tuple[fx.GraphModule, dict[str, FixedBasis]]:
    """The network in plain modules, followed on an example where its forward asks for shapes; and its bases."""
    try:
        return fold_marked(plain, RULES, FUNCTION_RULES)
    except ValueError:
        return fold_marked(plain, RULES, FUNCTION_RULES, example)


def _reason(failure: Exception) -> str:
    """Why a file takes one size only."""
    if isinstance(failure, ArithmeticError):
        return "at other sizes the forward takes another branch, or fixes a size"
    return f"{str(failure).partition(' of this network: ')[2].partition(' Look for')[0] or failure}".rstrip(".")


def _refuse_other_sizes(network: fx.GraphModule, height: int, width: int) -> None:
    """Let a graph check the sides of its input."""
    image = next(node for node in network.graph.nodes if node.op == "placeholder")
    last, graph = image, network.graph
    for dim, side in ((2, height), (3, width)):
        with graph.inserting_after(last):
            found = graph.call_method("size", (image, dim))
        with graph.inserting_after(found):
            fits = graph.call_function(operator.eq, (found, side))
        with graph.inserting_after(fits):
            message = f"this file takes images of {height}x{width} pixels only"
            last = graph.call_function(torch._assert, (fits, message))  # noqa: SLF001
    network.recompile()


def _write_torch(network: nn.Module, wanted: _Wanted) -> _Written:
    """A pickled graph of torch's own modules."""
    buffer = io.BytesIO()
    network.facts = wanted.facts  # type: ignore[assignment]
    torch.save(network, buffer)
    return _Written(buffer.getvalue(), torch.load(io.BytesIO(buffer.getvalue()), weights_only=False))


def _write_torchscript(network: nn.Module, wanted: _Wanted) -> _Written:
    """A scripted module."""
    buffer, facts = io.BytesIO(), json.dumps(wanted.facts).encode()
    with _refusing("torchscript"), _quiet():
        torch.jit.save(torch.jit.script(network), buffer, _extra_files={"facts.json": facts})
        return _Written(buffer.getvalue(), torch.jit.load(io.BytesIO(buffer.getvalue())))


def _write_onnx(network: nn.Module, wanted: _Wanted) -> _Written:
    """An ONNX model, run by onnxruntime."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(module, "export", "Export to ONNX")
    example = wanted.example
    axes = {0: "batch", 2: "height", 3: "width"} if wanted.any_size else {0: "batch"}
    with _refusing("onnx"), _quiet():
        program = torch.export.export(
            network, (example,), dynamic_shapes=(dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)
        )
        for values in program.range_constraints.values():
            if values.upper.is_Integer:
                raise ValueError(f"it branches on a side of the input, for which this way ends at {values.upper}.")
        model = torch.onnx.export(
            program, (example,), dynamo=True, verbose=False, dynamic_shapes=(axes,),
            input_names=["image"], output_names=["output"],
        )  # fmt: skip
        assert model is not None
        made, words = put_in_order(model.model_proto, wanted.bases, {"image": example.numpy()}, wanted.graph)
        for name, value in wanted.facts.items():
            entry = made.metadata_props.add()
            entry.key, entry.value = name, value
        content = made.SerializeToString()
        session = session_of(content)
    return _Written(content, lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0]), words)


_WRITERS: Mapping[str, Callable[[nn.Module, _Wanted], _Written]] = {
    "torch": _write_torch,
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
}


class _Scaled(nn.Module):
    """A network that takes the numbers of picture files: what the file is compared with."""

    def __init__(self, network: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self._network, self._scaling = network, scaling

    def forward(self, x: Float[Tensor, "b c h w"]) -> Tensor:
        """Scale, then ask."""
        return self._network(self._scaling.apply(x))


def _unscaled(x: Float[Tensor, "b c h w"], scaling: Scaling) -> Float[Tensor, "b c h w"]:
    """Numbers of picture files that become numbers from 0 to 1."""
    if scaling.rule == "file":
        return 1000 * x
    offset, scale = (x.new_tensor(values)[:, None, None] for values in (scaling.offset, scaling.scale))
    return x / scale + offset


def _scale_first(network: fx.GraphModule, scaling: Scaling) -> None:
    """Let a graph scale its input: (x - offset) * scale, with operations of torch alone."""
    image = next(node for node in network.graph.nodes if node.op == "placeholder")
    users = list(image.users)
    with network.graph.inserting_before(image.next):
        add = network.graph.call_function
        if scaling.rule == "file":
            black = add(torch.amin, (image, [1, 2, 3], True))
            span = add(torch.sub, (add(torch.amax, (image, [1, 2, 3], True)), black))
            flat = add(torch.eq, (span, 0))
            scaled = add(torch.div, (add(torch.sub, (image, black)), add(torch.add, (span, flat))))
        else:
            dtype = next((p.dtype for p in network.parameters()), torch.get_default_dtype())
            for name, values in (("offset", scaling.offset), ("scale", scaling.scale)):
                network.register_buffer(f"pixel_{name}", torch.tensor(values, dtype=dtype)[:, None, None])
            offset, scale = (network.graph.get_attr(f"pixel_{name}") for name in ("offset", "scale"))
            scaled = add(torch.mul, (add(torch.sub, (image, offset)), scale))
    for user in users:
        user.replace_input_with(image, scaled)
    network.recompile()


def _check_runs(network: nn.Module, x: Tensor) -> None:
    """Refuse what does not turn images into one tensor."""
    try:
        y = network(x)
    except RuntimeError as error:
        raise ValueError(
            f"export_model got a network that takes no images of shape {tuple(x.shape)}: {error}."
        ) from error
    if not isinstance(y, Tensor):
        raise TypeError(f"export_model expects a network that returns one tensor, got {type(y).__name__}.")


def _takes(network: nn.Module, x: Tensor) -> bool:
    """Whether a network runs on images of another size."""
    try:
        network(x)
    except (RuntimeError, ValueError):
        return False
    return True


def _deviation(run: Run, network: nn.Module, x: Tensor) -> float:
    """Largest difference relative to the largest output."""
    expected = network(x)
    with _refusing("the file at other sizes of batch and image"):
        found = run(x)
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=torch.finfo(x.dtype).tiny))


def _tolerance(file_format: str, dtype: torch.dtype) -> float:
    """Largest deviation that rounding explains."""
    exact = {torch.float64: 1e-10, torch.float32: 1e-5}.get(dtype, 0.05)
    return max(exact, 1e-4) if file_format == "onnx" else exact


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn whatever an exporter raises into one line."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # exporters raise classes of their own, for a graph, a guard, an operation
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
        raise ValueError(
            f"export_model cannot make {what} of this network: {reason} Look for branches on the shape or the values "
            "of the input, and for operations that the format does not have; another format may have them."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from telling about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
