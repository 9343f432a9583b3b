"""Whole networks compared with their dense twins, plain networks, and the peers' twins."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from orbitconv.models import ResNet, SmallCNN, UNet
from orbitconv.models.counting import count_multiply_adds
from orbitconv.nn import GroupConv2d, fold, freeze
from orbitconv.nn.products.kernel import switched_off
from studies.speed.checks import relative_error
from studies.speed.fused.contender import Contender
from studies.speed.fused.twins import twin_of


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network at one size: how it is made from a basis and a width, and what share of its dense twin it may take."""

    name: str
    words: str
    basis: str
    width: int
    make: Callable[..., nn.Module]
    shape: tuple[int, int, int, int]
    inference: float
    training: float

    def build(self, basis: str | None, width: int | str) -> nn.Module:
        """A group network, or a plain one for None."""
        if basis is None:
            return self.make(None, plain_width=width)
        return self.make(basis, width=width, plain_width=self.width)


NETWORKS = (
    Network(
        name="digits", words="rotated-digits network, C8 5x5, seven atoms, 28x28, batch 64", basis="spectral-c8-k5-d7",
        width=16, make=lambda basis, **o: SmallCNN(basis, kernel_size=5, **o), shape=(64, 1, 28, 28), inference=0.30,
        training=0.40,
    ),
    Network(
        name="resnet", words="ResNet-44, C8 3x3, 32x32, batch 16", basis="spectral-c8-k3", width=16,
        make=lambda basis, **o: ResNet(basis, depth=44, **o), shape=(16, 3, 32, 32), inference=0.40, training=0.50,
    ),
    Network(
        name="unet", words="U-Net of depth 3, C8 3x3, 96x96, batch 2", basis="spectral-c8-k3", width=32,
        make=lambda basis, **o: UNet(basis, depth=3, **o), shape=(2, 3, 96, 96), inference=0.45, training=0.55,
    ),
)  # fmt: skip


def contenders(case: Network, task: str, peers: Iterable[str], seed: int) -> dict[str, Contender]:
    """The dense twin, this library's network, two plain networks, the peers' twins."""
    x = torch.randn(case.shape, generator=torch.Generator().manual_seed(seed))
    network = case.build(case.basis, "params")
    dense = copy.deepcopy(network)
    for module in dense.modules():
        if isinstance(module, GroupConv2d):
            module.fourier = False
    work = count_multiply_adds(dense, case.shape[1:])
    members = {
        "dense": dense,
        "orbitconv": network,
        "plain, equal multiply-adds": case.build(None, plain_width(case, work)),
        "plain, equal parameters": case.build(None, case.width),
    }
    members |= {library: twin_of(library, network) for library in peers}
    if task == "training":
        return {name: _training(module.train(), x) for name, module in members.items()}
    with torch.no_grad(), switched_off():
        expected = copy.deepcopy(dense).double().eval()(x.double())
    members |= {"dense": fold(dense.eval()), "orbitconv": freeze(network.eval())}
    found = {name: _inference(module.eval(), x) for name, module in members.items()}
    with torch.inference_mode():
        error = relative_error(members["orbitconv"](x), expected)
    return {**found, "orbitconv": _inference(members["orbitconv"], x, error)}


def _training(module: nn.Module, x: Tensor) -> Contender:
    return Contender(module, lambda: module(x).square().sum().backward(), (x,), len(x))


def _inference(module: nn.Module, x: Tensor, error: float | None = None) -> Contender:
    @torch.inference_mode()
    def work() -> Tensor:
        return module(x)

    return Contender(module, work, (x,), len(x), error)


def plain_width(case: Network, work: int) -> int:
    """Channels of the first stage of a plain network with as many multiply-adds."""
    least, most = 1, 64 * case.width
    while least < most:
        width = (least + most) // 2
        with torch.device("meta"):
            found = count_multiply_adds(case.build(None, width), case.shape[1:])
        least, most = (least, width) if found >= work else (width + 1, most)
    return least
