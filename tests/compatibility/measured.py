"""What a network of another package does when it is converted: every step that a user would take, measured."""

import copy
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

import orbitconv
from compatibility.zoo import ZOO, images
from orbitconv.conversion import Converted
from orbitconv.metrics.outputs import select
from orbitconv.nn import fold

_TWINS = 1e-5
_TOLERANCE = 1e-3  # of single layers, in float32; a lost turn is a matter of percents


def turned_error(network: nn.Module, x: Tensor) -> float:
    """Largest relative difference that a quarter turn makes in any tensor of the output."""
    with torch.no_grad():
        upright, turned = (select(network(one), None, "measure") for one in (x, x.rot90(1, (2, 3))))
    worst = 0.0
    for place, one in upright.items():
        expected = one.rot90(1, (2, 3)) if one.ndim == 4 else one
        error = float((turned[place] - expected).norm() / expected.norm())
        if math.isnan(error):
            raise ValueError(f"output{place} is zero or not finite")
        worst = max(worst, error)
    return worst


def difference(a: Any, b: Any) -> float:
    """Largest difference between two outputs, relative to the largest value."""
    with torch.no_grad():
        pairs = [(one, select(b, None, "measure")[place]) for place, one in select(a, None, "measure").items()]
        return max(float((one - other).abs().max() / one.abs().max()) for one, other in pairs)


def build(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network with weights from a fixed seed."""
    make, shape = ZOO[name]
    torch.manual_seed(0)
    return make(), shape


def settle(network: nn.Module, x: Tensor) -> nn.Module:
    """Let batch norms take the statistics of images, so that deep random networks put out more than rounding."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return network.eval()


def train_a_step(network: nn.Module, x: Tensor) -> None:
    """One step of SGD on the mean square of the output, small against the weights."""
    output = select(network.train()(x), None, "measure")
    scale = sum(float(one.detach().square().sum()) for one in output.values())
    sum(one.square().sum() / scale for one in output.values()).backward()
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None))
    torch.optim.SGD(network.parameters(), 1e-2 / max(norm, 1e-2)).step()
    network.zero_grad()
    network.eval()


def measure_c4(name: str) -> dict[str, Any]:
    """Convert for C4 with what is exact, and take every step."""
    started = time.perf_counter()
    plain, shape = build(name)
    network = orbitconv.convert(plain, "c4", example=images(shape), exact=True)
    report = network.report
    row: dict[str, Any] = {
        "says_exact": report.is_exact, "first_lost": str(report.first_lost or ""), "exchanged": len(report.exchanged),
        "parameters": report.parameters, "multiply_adds": report.multiply_adds,
    }  # fmt: skip
    x, several = images(shape, 2), images(shape, 8 if shape[1] <= 64 else 2)
    single = settle(network.float(), several)
    row["float32"] = turned_error(single, x)
    row |= twins(single, x)
    row["promise"] = promise(single, x[:1])
    double = copy.deepcopy(network).double().eval()
    row["float64"] = turned_error(double, x.double())
    train_a_step(double, x.double())
    row["float64_after_step"] = turned_error(double, x.double())
    row["float32_after_step"] = turned_error(double.float(), x)
    row["promise_as_it_is"] = promise(settle(orbitconv.convert(plain, "c4", example=x[:1]), several), x[:1])
    return row | {"seconds": round(time.perf_counter() - started, 1)}


def promise(network: Converted, x: Tensor) -> dict[str, Any]:
    """What the report says and what `check` measures: whether turns are exact, and the first layer that loses them."""
    found = orbitconv.check(network, x, network.group, tolerance=_TOLERANCE)
    first = found.losses[0].path.removeprefix("network").removeprefix(".") if found.losses else ""
    said = network.report.first_lost
    return {
        "says_exact": network.report.is_exact, "is_exact": found.is_exact, "first_lost": said.path if said else "",
        "first_measured": first.removesuffix(".layer").removesuffix(".main").removesuffix(".module"),
        "error": found.error, "losses": len(found.losses),
    }  # fmt: skip


def is_kept(found: dict[str, Any]) -> bool:
    """Whether a promise is that of the measurement."""
    return found["says_exact"] == found["is_exact"] == (not found["losses"]) and (
        found["first_lost"] == found["first_measured"]
    )


def twins(network: Converted, x: Tensor) -> dict[str, Any]:
    """Differences of the plain, folded and exported twins; or why there is none."""
    row: dict[str, Any] = {}
    for way in ("plain", "fold", "export"):
        try:
            row[way] = twin_difference(network, x, way)
        except Exception as error:
            row[way] = f"{type(error).__name__}: {str(error).partition('. ')[0][:160]}"
        if isinstance(row[way], float) and row[way] > _TWINS:  # of deep random networks, whose rounding grows
            row[f"{way}_float64"] = twin_difference(copy.deepcopy(network).double(), x.double(), way)
    return row


def twin_difference(network: Converted, x: Tensor, way: str) -> float:
    """How far one of the twins is from the network."""
    twin = fold(network) if way == "fold" else network.plain() if way == "plain" else exported(network.plain(), x)
    with torch.no_grad():
        return difference(network(x), twin(x))


def twins_agree(row: dict[str, Any]) -> bool:
    """Whether every twin that there is agrees to 1e-5; where float32 rounds by more, in float64."""
    ways = [way for way in ("plain", "fold", "export") if isinstance(row[way], float)]
    return len(ways) >= 2 and all(row[way] <= _TWINS or row[f"{way}_float64"] <= 1e-10 for way in ways)


def exported(plain: nn.Module, x: Tensor) -> nn.Module:
    """The plain twin by `torch.export`."""
    with torch.no_grad():
        return torch.export.export(plain, (x,), strict=False).module()


def measure_group(name: str, group: str) -> dict[str, Any]:
    """Convert for another group, and run it."""
    started = time.perf_counter()
    plain, shape = build(name)
    network = orbitconv.convert(plain, group, example=images(shape), exact=True)
    settle(network, images(shape, 2))
    row = {"says_exact": network.report.is_exact, "float32": turned_error(network, images(shape))}
    return row | {"seconds": round(time.perf_counter() - started, 1)}
