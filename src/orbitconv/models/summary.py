"""A network layer by layer: shapes, parameters, multiply-adds, receptive fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from orbitconv.models.counting import count_parameters, trace
from orbitconv.models.tracing import Tracer
from orbitconv.nn import BasisConv2d, OrbitLinear, SeparableGroupConv2d

_HEAD = ("layer", "type", "fields", "plane", "parameters", "multiply-adds", "receptive field", "stride")
_LEFT = 2  # columns of words


@dataclass(frozen=True)
class Row:
    """One layer.

    Args:
        name: Its name in the network.
        kind: Its class.
        output_shape: Shape of its output for one image, without the batch axis.
        parameters: Its trainable parameters; those that it shares count for the first layer that has them.
        multiply_adds: Products of features with weights, for one image.
        expansion: Products that make its filters from coefficients, once for a batch of any size.
        field: Height and width of the window of the image that an output pixel depends on, in pixels; the largest of
            all paths. None where there is no plane. Windows that reach beyond the border count in full.
        stride: Distance between output pixels along height and width, in pixels of the image; None as for `field`.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    expansion: int
    field: tuple[int, int] | None
    stride: tuple[float, float] | None

    @property
    def fields(self) -> str:
        """Fields, and the length of the group axis if there is one: "33 x 8"."""
        return " x ".join(map(str, self.output_shape[:2] if len(self.output_shape) == 4 else self.output_shape[:1]))

    @property
    def plane(self) -> str:
        """Height and width of the output: "32 x 32"."""
        return " x ".join(map(str, self.output_shape[-2:])) if len(self.output_shape) > 2 else "-"

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        numbers = (f"{value:,}" if value else "-" for value in (self.parameters, self.multiply_adds))
        return self.name, self.kind, self.fields, self.plane, *numbers, _sides(self.field), _sides(self.stride)


@dataclass(frozen=True)
class Summary:
    """What `summary` found; `str` makes a table of it.

    Args:
        rows: The layers, in the order in which they ran.
        input_shape: Shape of one image.
        parameters: Trainable parameters of the network.
        multiply_adds: Products of features with weights, for one image.
        expansion: Products that make filters from coefficients, once for a batch of any size.
    """

    rows: tuple[Row, ...]
    input_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    expansion: int

    def __str__(self) -> str:
        table = [_HEAD, *(row.cells() for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if index < _LEFT else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()
            for cells in table
        ]
        lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
        lines += [
            lines[1],
            f"{self.parameters:,} trainable parameters",
            f"{self.multiply_adds:,} multiply-adds for an image of {' x '.join(map(str, self.input_shape))}",
        ]
        if self.expansion:
            lines.append(f"{self.expansion:,} multiply-adds for a batch, to make filters from coefficients")
        return "\n".join(lines)


def summary(network: nn.Module, input_shape: Sequence[int]) -> Summary:
    """Describe a network that takes one tensor layer by layer, on one image of shape (channels, height, width).

    A copy of the network runs on the meta device in eval mode: nothing is computed, and the network stays as it is.
    """
    rows: list[Row] = []
    tracer = trace(network, input_shape, lambda ghost, tracer: _watch(ghost, tracer, rows))
    return Summary(tuple(rows), tuple(input_shape), count_parameters(network), tracer.multiply_adds, tracer.expansion)


def _watch(ghost: nn.Module, tracer: Tracer, rows: list[Row]) -> None:
    """Write a row whenever a layer has run."""
    before: dict[str, tuple[int, int]] = {}
    counted: set[nn.Parameter] = set()

    def hook(name: str, layer: nn.Module) -> None:
        def start(_layer: nn.Module, _inputs: object) -> None:
            before[name] = tracer.multiply_adds, tracer.expansion

        def stop(_layer: nn.Module, _inputs: object, output: object) -> None:
            if not isinstance(output, Tensor):
                return
            new = {p for p in layer.parameters() if p.requires_grad} - counted
            counted.update(new)
            multiply_adds, expansion = before[name]
            spans = tracer.spans(output) if output.ndim > 3 else None
            row = Row(
                name,
                type(layer).__name__,
                tuple(output.shape[1:]),
                sum(p.numel() for p in new),
                tracer.multiply_adds - multiply_adds,
                tracer.expansion - expansion,
                None if spans is None else (spans[0].field, spans[1].field),
                None if spans is None else (spans[0].step, spans[1].step),
            )
            rows.append(row)

        layer.register_forward_pre_hook(start)
        layer.register_forward_hook(stop)

    inside: set[nn.Module] = set()  # bases and parametrizations make weights, not features
    for name, module in ghost.named_modules():
        if module not in inside and _is_layer(module):
            inside.update(module.modules())
            if not isinstance(module, nn.Identity):
                hook(name, module)


def _is_layer(module: nn.Module) -> bool:
    """Whether a module shall be one row, whatever is inside of it."""
    wholes = BasisConv2d | OrbitLinear | SeparableGroupConv2d
    return isinstance(module, wholes) or is_parametrized(module) or next(module.children(), None) is None


def _sides(pair: tuple[int | float, int | float] | None) -> str:
    """Height and width, as one number if they are equal."""
    if pair is None:
        return "-"
    return f"{pair[0]:g}" if pair[0] == pair[1] else f"{pair[0]:g} x {pair[1]:g}"
