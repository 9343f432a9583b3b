import itertools

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, act_features
from orbitconv.nn import GroupConv2d, GroupConvTranspose2d, fold
from raising import refuses
from references import FAMILIES, unitary

C4, D4 = Cyclic(4), Dihedral(4)
OPTIONS = [
    {},
    {"stride": 2},
    {"stride": (1, 2), "padding": (2, 1)},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (3, 2), "output_padding": (2, 0)},
    {"dilation": 2, "padding": 1, "output_padding": 1},
    {"groups": 2, "bias": False},
]


def stamped(plane: np.ndarray, weight: np.ndarray, stride, dilation) -> np.ndarray:
    """Every pixel adds its multiple of the filter, one number after the other."""
    (rows, cols), (ky, kx) = plane.shape, weight.shape
    sides = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(plane.shape, stride, dilation, (ky, kx), strict=True)]
    y = np.zeros(sides)
    for r, c, a, b in itertools.product(range(rows), range(cols), range(ky), range(kx)):
        y[r * stride[0] + a * dilation[0], c * stride[1] + b * dilation[1]] += plane[r, c] * weight[a, b]
    return y


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["exact-D4-2", "unitary-C5-3"])
def test_stamps_filters_on_the_group(name, options):
    basis = FAMILIES[name]()
    group, n = basis.group, basis.group.order
    layer = GroupConvTranspose2d(2, 4, basis, **options).double()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    x = torch.randn(1, 2, n, 4, 3, dtype=torch.float64)
    w, atoms = layer.coefficients.detach().numpy(), basis(torch.float64).numpy()
    with torch.no_grad():
        y = layer(x)[0].numpy()
    ins, outs = 2 // layer.groups, 4 // layer.groups
    (top, left), added = (layer.padding[0], layer.padding[2]), layer.output_padding
    for o, h in itertools.product(range(4), range(n)):
        block, expected = o // outs, 0
        for i, g in itertools.product(range(ins), range(n)):
            m = next(m for m in range(n) if group.product[g, m] == h)  # g^-1 h
            psi = sum(w[block * ins + i, o % outs, m, d] * atoms[g, d] for d in range(basis.num_atoms))
            expected = expected + stamped(x[0, block * ins + i, g].numpy(), psi, layer.stride, layer.dilation)
        expected = np.pad(expected, ((0, added[0]), (0, added[1])))
        expected = expected[top : expected.shape[0] - top, left : expected.shape[1] - left]
        expected = expected + (0 if layer.bias is None else float(layer.bias.detach()[o]))
        np.testing.assert_allclose(y[o, h], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 3}, {"groups": 2}])
def test_is_the_adjoint_of_the_group_convolution(options):
    basis = unitary(Cyclic(8), 3)
    conv = GroupConv2d(4, 2, basis, bias=False, **options).double()
    transpose = GroupConvTranspose2d(2, 4, basis, bias=False, **options).double()
    transpose.load_state_dict(conv.state_dict())
    u = torch.randn(2, 4, 8, 9, 9, dtype=torch.float64, requires_grad=True)
    y = conv(u)
    x = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, u, x)
    torch.testing.assert_close(transpose(x).detach(), expected, rtol=0, atol=1e-12)


def error(layer: GroupConvTranspose2d, size: int) -> float:
    x = torch.randn(2, layer.in_channels, layer.group.order, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = layer(x)
        moved = [layer(act_features(x, layer.group, g)) - act_features(y, layer.group, g) for g in range(1, 4)]
    return float(max(m.abs().max() for m in moved) / y.abs().max())


@pytest.mark.parametrize("group", [C4, D4], ids=str)
@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(2, 2, 0), (4, 2, 1), (3, 1, 1), (3, 2, 1), (5, 3, 0)])
@pytest.mark.parametrize("size", [5, 6])
def test_is_exactly_equivariant_at_every_size_and_stride(group, kernel_size, stride, padding, size):
    layer = GroupConvTranspose2d(2, 3, ExactBasis(group, kernel_size), stride, padding, dtype=torch.float64)
    assert error(layer, size) < 1e-13
    if stride > 1:
        layer.output_padding = (1, 1)
        assert error(layer, size) > 0.1


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_folds_to_a_transposed_convolution_with_the_batch_norm_after_it(options, dtype):
    layer = GroupConvTranspose2d(2, 4, ExactBasis(C4, 3), **options)
    norm = nn.BatchNorm3d(4)
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm.running_var, 0.5, 2), nn.init.normal_(norm.weight)
    net = nn.Sequential(layer, norm).to(dtype).eval()
    folded, x = fold(net), torch.randn(2, 2, 4, 5, 6, dtype=dtype)
    kinds = [type(m).__name__ for m in folded.modules()]
    assert "ConvTranspose2d" in kinds
    assert "BatchNorm3d" not in kinds
    atol = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 0.1)
    torch.testing.assert_close(folded(x), net(x), rtol=atol, atol=atol)


def test_the_wanted_size_decides_the_output_padding_also_folded():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = GroupConvTranspose2d(2, 3, ExactBasis(C4, 3), 2, 1)

        def forward(self, x, like):
            return self.up(x, output_size=like.shape[-2:])

    net, x = Net(), torch.randn(1, 2, 4, 5, 6)
    for size in ((9, 11), (10, 12), (9, 12)):
        assert net(x, torch.zeros(size)).shape[-2:] == size
        torch.testing.assert_close(fold(net)(x, torch.zeros(size)), net(x, torch.zeros(size)))
    refuses(ValueError, r"cannot make planes of \(11, 12\) pixels", net, x, torch.zeros(11, 12))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_fresh_layers_keep_the_mean_square_of_white_noise_up_to_the_relu(stride):
    layer = GroupConvTranspose2d(64, 8, ExactBasis(C4, 3), stride, bias=False)
    with torch.no_grad():
        y = layer(torch.randn(8, 64, 4, 24, 24))
        like = GroupConv2d(64, 8, ExactBasis(C4, 3), bias=False)(torch.randn(8, 64, 4, 24, 24))
    inner = y[..., 3:-3, 3:-3].square().mean() / like.square().mean()
    assert 0.8 < inner < 1.25


@pytest.mark.parametrize(("options", "message"), [
    ({"output_padding": 1}, r"output_padding below stride or dilation, \(1, 1\), got 1"),
    ({"output_padding": -1}, "output_padding"),
    ({"stride": 2, "output_padding": (1, 0, 1)}, "output_padding"),
    ({"padding": "same"}, "GroupConvTranspose2d expects padding in pixels, got 'same'"),
    ({"groups": 3}, "groups"),
])  # fmt: skip
def test_refuses_what_does_not_fit(options, message):
    refuses(ValueError, message, GroupConvTranspose2d, 2, 4, ExactBasis(C4, 3), **options)


def test_is_no_plain_convolution():
    refuses(TypeError, "to_conv_transpose2d", lambda: GroupConvTranspose2d(2, 4, ExactBasis(C4, 3)).to_conv2d())
