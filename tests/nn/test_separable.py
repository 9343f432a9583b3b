"""Group convolutions in steps, against the one convolution they are."""

import pytest
import torch
from torch import Tensor, nn

from orbitconv.bases import ExactBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.nn import DepthwiseGroupConv2d, GroupConv2d, SeparableGroupConv2d
from orbitconv.testing import assert_equivariant
from references import FAMILIES, OPTIONS, correlate, padded

MIXING = pytest.mark.parametrize("mixing", ["full", "separable"])
BASES = {
    "exact-C4-3": FAMILIES["exact-C4-3"],
    "exact-D4-3": lambda: ExactBasis(Dihedral(4), 3),
    "unitary-C8-3": FAMILIES["unitary-C8-3"],
    "harmonic-D6-4": FAMILIES["harmonic-D6-4"],
}
PLAIN = [options for options in OPTIONS if "groups" not in options]


def build(name: str, mixing: str, **options) -> SeparableGroupConv2d:
    layer = SeparableGroupConv2d(2, 3, BASES[name](), mixing=mixing, dtype=torch.float64, **options)
    for parameter_name, parameter in layer.named_parameters():
        if parameter_name.endswith("bias"):
            nn.init.normal_(parameter)
    return layer


def sample(layer: nn.Module, side: int = 9) -> Tensor:
    return torch.randn(2, 2, layer.group.order, side, side, dtype=torch.float64)


def relative_mixing(layer: SeparableGroupConv2d, coefficients: Tensor) -> Tensor:
    """mixing[o, i, m], as an explicit product where it is one."""
    weights = coefficients[..., 0]
    return weights if layer.channels is None else layer.channels.weight[..., 0] * weights[:, 0]


def turning(basis) -> Tensor:
    """R[m] with basis[m, d] = sum over d' of R[m, d, d'] basis[0, d'], by least squares."""
    atoms = basis(torch.float64).flatten(2)
    turned = atoms @ torch.linalg.pinv(atoms[0])
    torch.testing.assert_close(turned @ atoms[0], atoms, rtol=0, atol=1e-12)
    return turned


@MIXING
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_it_is_the_group_convolution_of_the_product(name, mixing, options):
    layer = build(name, mixing, **options)
    dense = GroupConv2d(2, 3, BASES[name](), dtype=torch.float64, **options)
    x = sample(layer).requires_grad_()

    def product(spatial: Tensor, mixing: Tensor) -> Tensor:
        turned = torch.einsum("id,mde->ime", spatial[:, 0], turning(dense.basis))
        return relative_mixing(layer, mixing)[..., None] * turned

    with torch.no_grad():
        last = layer.mixing if layer.channels is None else layer.channels
        if dense.bias is not None:
            dense.bias.copy_(last.bias)
    parameters = layer.spatial.coefficients, layer.mixing.coefficients
    found, y = torch.autograd.grad(layer(x).square().sum(), (x, *parameters)), layer(x)
    expected = torch.func.functional_call(dense, {"coefficients": product(*parameters)}, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    gradients = torch.autograd.grad(expected.square().sum(), (x, *parameters))
    for a, b in zip(found, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * float(b.abs().max()))


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_every_plane_meets_its_own_turned_filter(options):
    layer = DepthwiseGroupConv2d(2, BASES["unitary-C8-3"](), **options).double()
    x = torch.randn(1, 2, 8, 6, 7, dtype=torch.float64)
    planes, atoms = padded(x[0].numpy(), layer, options), layer.basis(torch.float64).numpy()
    w = layer.coefficients.detach().numpy()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    with torch.no_grad():
        y = layer(x)[0]
    for i in range(2):
        for g in range(8):
            psi = sum(w[i, 0, d] * atoms[g, d] for d in range(layer.basis.num_atoms))
            expected = torch.from_numpy(correlate(planes[i, g], psi, layer.stride, layer.dilation))
            expected += 0 if layer.bias is None else layer.bias[i].detach()
            torch.testing.assert_close(y[i, g], expected, rtol=0, atol=1e-12)


@MIXING
@pytest.mark.parametrize("name", [name for name in BASES if name != "harmonic-D6-4"])
def test_exactly_equivariant_under_quarter_turns_and_mirrors(name, mixing):
    layer = build(name, mixing, padding=1)
    deep = nn.Sequential(layer, nn.ReLU(), SeparableGroupConv2d(3, 2, BASES[name](), 2, 1, mixing=mixing).double())
    assert_equivariant(deep, sample(layer, 9), layer.group)
    assert_equivariant(layer.spatial, sample(layer, 8), layer.group)


@MIXING
def test_parameters_and_multiply_adds_are_those_of_the_formulas(mixing):
    basis = HarmonicBasis(Cyclic(8), 3)
    I, O, N, D, area = 6, 10, 8, basis.num_atoms, 9  # noqa: E741
    layer = SeparableGroupConv2d(I, O, basis, padding=1, bias=False, mixing=mixing)
    mixed = (I * O * N, I * O * N**2) if mixing == "full" else (I * N + I * O, I * N**2 + I * O * N)
    assert count_parameters(layer) == I * D + mixed[0]
    assert count_multiply_adds(layer, (I, N, 5, 5)) == 25 * (I * N * area + mixed[1])


def test_the_mixing_in_fourier_space_is_the_same():
    layer = build("unitary-C8-3", "full", padding=1)
    other = SeparableGroupConv2d(2, 3, BASES["unitary-C8-3"](), padding=1, fourier=True, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    assert other.mixing.fourier is True
    x = sample(layer)
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=1e-12)
    layers = [SeparableGroupConv2d(64, 64, HarmonicBasis(Cyclic(8), 3), padding=1, fourier=on) for on in (False, True)]
    dense, fewer = (count_multiply_adds(layer, (64, 8, 4, 4)) / 16 for layer in layers)
    assert dense - fewer == 64 * 64 * 64 - 2 * 64 * 64 * 8 - 128 * 64


@MIXING
@pytest.mark.parametrize("name", ["exact-C4-3", "harmonic"])
def test_activations_keep_their_mean_square_through_layers(name, mixing):
    basis = HarmonicBasis(Cyclic(8), 5) if name == "harmonic" else BASES[name]()
    options = {"padding": "same", "padding_mode": "circular", "bias": False, "mixing": mixing}
    energies = []
    for _ in range(8):
        x = torch.randn(2, 24, basis.group.order, 8, 8).relu() * 2**0.5
        for _ in range(3):
            x = SeparableGroupConv2d(24, 24, basis, **options)(x).relu().detach()
        energies.append(float(x.square().mean()))
    assert 1 / 3 < sum(energies) / len(energies) < 3


@pytest.mark.parametrize(("arguments", "options", "error", "message"), [
    ((0, 3), {}, ValueError, "SeparableGroupConv2d expects in_channels >= 1, got 0"),
    ((2, -3), {}, ValueError, "SeparableGroupConv2d expects out_channels >= 1, got -3"),
    ((2, 3), {"mixing": "none"}, ValueError, "expects mixing 'full' or 'separable', got 'none'"),
    ((2, 3), {"stride": 0}, ValueError, r"DepthwiseGroupConv2d expects stride\[0\] >= 1, got 0"),
])  # fmt: skip
def test_refuses_bad_arguments(arguments, options, error, message):
    with pytest.raises(error, match=message):
        SeparableGroupConv2d(*arguments, BASES["exact-C4-3"](), **options)
