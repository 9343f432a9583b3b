"""Layers on hexagons: against naive loops, exact by 60 degrees, refused on the other lattice."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from orbitconv import Cyclic, Dihedral
from orbitconv.bases import ExactBasis
from orbitconv.hexagonal import (
    HexagonalGrid,
    HexagonalImage,
    act_hexagonal,
    exact_hexagonal_elements,
    to_hexagonal,
    turn_hexagonal,
)
from orbitconv.models import SmallCNN
from orbitconv.nn import (
    GroupBatchNorm2d,
    GroupConv2d,
    HexagonalBatchNorm2d,
    HexagonalMask,
    HexagonalPool,
    LiftingConv2d,
    ToHexagonal,
    fold,
)
from raising import refuses


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(0))


def taps(radius):
    """Positions of the taps of a hexagon, each with its place in the axial array."""
    grid = HexagonalGrid(radius)
    return [
        (grid.positions[:, i, j], (i, j)) for i, j in itertools.product(range(grid.side), repeat=2) if grid.mask[i, j]
    ]


def turned_filter(group, g, weight):
    """psi(g^-1 x) at every tap x, found by its position in the plane."""
    own, result = taps(weight.shape[-1] // 2), np.zeros_like(weight)
    for place, index in own:
        source = group.matrix(g).T @ place
        (found,) = [other for at, other in own if np.hypot(*(at - source)) < 1e-9]
        result[index] = weight[found]
    return result


def naive_correlation(plane, weight):
    """Sum over taps of plane(t + x) * weight(x), point by point of the hexagon, zero outside it."""
    radius, reach = plane.shape[-1] // 2, weight.shape[-1] // 2
    mask, result = HexagonalGrid(radius).mask, np.zeros_like(plane)
    for i, j in np.argwhere(mask):
        for _, (a, b) in taps(reach):
            row, col = i + a - reach, j + b - reach
            if 0 <= row < len(plane) and 0 <= col < len(plane) and mask[row, col]:
                result[i, j] += plane[row, col] * weight[a, b]
    return result


@pytest.mark.parametrize(("group", "kernel_size"), [(Cyclic(6), 5), (Dihedral(6), 3), (Dihedral(3), 3)])
def test_lifting_is_the_naive_double_loop(group, kernel_size):
    grid = HexagonalGrid(4)
    layer = LiftingConv2d(
        2, 1, ExactBasis(group, kernel_size, lattice="hexagonal"), padding="same", bias=False
    ).double()
    x = randn(1, 2, grid.side, grid.side)
    found = HexagonalMask()(layer(HexagonalImage(x, grid)))[0, 0].detach().numpy()
    filters = (layer.coefficients.detach()[0] @ layer.basis.atoms[0].flatten(1)).reshape(2, kernel_size, -1).numpy()
    for g in range(group.order):
        expected = sum(naive_correlation(x[0, i].numpy(), turned_filter(group, g, filters[i])) for i in range(2))
        np.testing.assert_allclose(found[g], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("group", [Cyclic(3), Dihedral(2)])
@pytest.mark.parametrize("fourier", ["auto", True])
def test_group_correlation_is_the_naive_double_loop(group, fourier):
    if fourier is True and not isinstance(group, Cyclic):
        pytest.skip("the Fourier product is for cyclic groups")
    grid, basis = HexagonalGrid(3), ExactBasis(group, 3, lattice="hexagonal")
    layer = GroupConv2d(1, 1, basis, padding=1, bias=False, fourier=fourier).double()
    x = HexagonalMask()(randn(1, 1, group.order, grid.side, grid.side))
    found = HexagonalMask()(layer(x))[0, 0].detach().numpy()
    filters = (layer.coefficients.detach()[0, 0] @ basis.atoms[0].flatten(1)).reshape(-1, 3, 3).numpy()
    for g in range(group.order):
        expected = np.zeros((grid.side, grid.side))
        for h in range(group.order):
            weight = turned_filter(group, g, filters[group.product[group.inverse[g], h]])
            expected += naive_correlation(x[0, 0, h].numpy(), weight)
        np.testing.assert_allclose(found[g], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", ["hexagon", "disc"])
@pytest.mark.parametrize(("sublattice", "reduction"), [*itertools.product((3, 4), ("max", "mean"))])
def test_a_pool_is_the_naive_loop_over_neighbours(sublattice, reduction, shape):
    grid = HexagonalGrid(7, shape)
    coarse, x = grid.take(sublattice), randn(grid.side, grid.side)
    found = HexagonalPool(sublattice, reduction, shape)(x[None, None])[0, 0].numpy()
    points = grid.positions[:, grid.mask]
    values = x.numpy()[grid.mask]
    expected = np.zeros((coarse.side, coarse.side))
    for i, j in np.argwhere(coarse.mask):
        near = np.hypot(*(points - coarse.positions[:, i, j][:, None])) < 1.01
        expected[i, j] = values[near].max() if reduction == "max" else values[near].mean()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def five_layers(group, reduction, shape, *, masks=True):
    """Five convolutions, two pools, norms: everything that a network on hexagons is made of."""
    five, three = (ExactBasis(group, k, lattice="hexagonal") for k in (5, 3))

    def norm():
        return HexagonalBatchNorm2d(3, shape) if masks else GroupBatchNorm2d(3)

    layers = [
        LiftingConv2d(2, 3, five, padding=2), norm(), nn.ReLU(), HexagonalPool(4, reduction, shape),
        GroupConv2d(3, 3, three, padding=1), norm(), nn.ReLU(), HexagonalPool(3, reduction, shape, group),
        GroupConv2d(3, 3, three, padding=1), HexagonalMask(shape) if masks else nn.Identity(), nn.Tanh(),
        GroupConv2d(3, 3, three, padding=1), norm(), nn.ReLU(),
        GroupConv2d(3, 2, three, padding=1), HexagonalMask(shape) if masks else nn.Identity(),
    ]  # fmt: skip
    return nn.Sequential(*layers).double()


def in_turned_axes(group, g):
    """What an element does in axes that one point in three has turned by 90 degrees."""
    n = group.num_rotations
    return g if g < n else n + (g - n + n // 2) % n


def worst_error(network, group, x, grid, region):
    with torch.no_grad():
        before = network(HexagonalImage(x, grid))
        worst = 0.0
        for g in exact_hexagonal_elements(group):
            after = network(HexagonalImage(act_hexagonal(x, group, g), grid))
            expected = act_hexagonal(before, group, in_turned_axes(group, g), features=True)
            worst = max(worst, float(((after - expected) * region).abs().max() / before.abs().max()))
    return worst


@pytest.mark.parametrize("shape", ["hexagon", "disc"])
@pytest.mark.parametrize("reduction", ["max", "mean"])
@pytest.mark.parametrize("group", [Cyclic(6), Dihedral(6), Dihedral(2)])
@pytest.mark.parametrize("train", [True, False])
def test_five_layers_with_pools_turn_and_mirror_exactly(group, reduction, shape, train):
    network, grid = five_layers(group, reduction, shape).train(train), HexagonalGrid(20, shape)
    assert worst_error(network, group, randn(2, 2, 41, 41), grid, 1.0) < 1e-12


def test_a_square_border_breaks_the_symmetry_and_the_middle_keeps_it():
    group = Cyclic(6)
    layers = [LiftingConv2d(1, 2, ExactBasis(group, 3, lattice="hexagonal"), padding=1), nn.ReLU()]
    layers += [GroupConv2d(2, 2, ExactBasis(group, 3, lattice="hexagonal"), padding=1) for _ in range(4)]
    plain, x, side = nn.Sequential(*layers).double(), randn(1, 1, 31, 31), 31
    i, j = np.indices((side, side)) - 15
    distance = torch.from_numpy(np.maximum(np.maximum(abs(i), abs(j)), abs(i + j)))

    def whole(x):
        """Of a square array of points as it is."""
        return plain[1:](plain[0].convolve(x).unflatten(1, (2, 6)))

    turned = turn_hexagonal(F.pad(x, (15, 15, 15, 15)), 1)[..., 15:-15, 15:-15]  # what turns out of it is lost
    with torch.no_grad():
        before, after = whole(x), whole(turned)
    off = (after - act_hexagonal(before, group, 1, features=True)).abs().amax((0, 1, 2)) / before.abs().max()
    assert off[distance <= 15].max() > 0.01  # a square of points is no hexagon: its corners turn out of it
    assert off[distance <= 15 - 5].max() < 1e-12  # five layers of radius 1 carry that five points far


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_that_of_torch_on_the_points_in_use(affine):
    grid = HexagonalGrid(3, "disc")
    own = HexagonalBatchNorm2d(2, "disc", affine=affine).double()
    reference, inside = nn.BatchNorm3d(2, affine=affine).double(), torch.from_numpy(grid.mask)
    if affine:
        for norm in (own.norm, reference):
            nn.init.constant_(norm.weight, 1.7)
            nn.init.constant_(norm.bias, 0.3)
    for step in range(3):
        x = 3 + randn(2, 2, 6, 7, 7) * (step + 1)
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = own(one), reference(other[..., inside][..., None])[..., 0]
        torch.testing.assert_close(y[..., inside], expected, rtol=0, atol=1e-11)
        assert y[..., ~inside].abs().max() == 0
        weight = randn(*expected.shape)
        (y[..., inside] * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-10)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(own.norm.state_dict()[name], value, rtol=0, atol=1e-12)
    own.eval(), reference.eval()
    torch.testing.assert_close(own(x)[..., inside], reference(x)[..., inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("group", [Cyclic(6), Dihedral(6)])
def test_a_folded_network_has_torchs_modules_and_the_same_output(group):
    network, grid = five_layers(group, "max", "hexagon"), HexagonalGrid(12)
    image = HexagonalImage(randn(2, 2, 25, 25), grid)
    with torch.no_grad():
        network(image)
        network.eval()
        plain = fold(network)
        torch.testing.assert_close(plain(image.planes()), network(image), rtol=0, atol=1e-12)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in plain.modules())
    if group == Cyclic(6):
        exported = torch.export.export(plain, (image.planes(),)).module()
        torch.testing.assert_close(exported(image.planes()), plain(image.planes()), rtol=0, atol=0)
    refuses(TypeError, "behind it", lambda: fold(nn.Sequential(ToHexagonal(), *network)))


def test_a_network_compiles_as_one_graph():
    network = five_layers(Dihedral(6), "max", "hexagon").eval()
    image = HexagonalImage(randn(1, 2, 25, 25), HexagonalGrid(12))
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(image), network(image), rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", ["hexagonal-exact-c6-k3", "hexagonal-spectral-d12-k5"])
def test_a_network_of_pictures_scores_half_turns_alike_and_trains(basis):
    network, x = SmallCNN(basis, width=2).double(), randn(2, 1, 17, 17)
    network(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network.eval()
    torch.testing.assert_close(network(torch.rot90(x, 2, (-2, -1))), network(x), rtol=0, atol=1e-12)
    layers = network.features[1:]
    image = to_hexagonal(x)
    turned = HexagonalImage(turn_hexagonal(image.values, 1), image.grid)
    one, other = (network.pool(layers(part)).amax((2, 3)) for part in (image, turned))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_other_lattice_is_refused_by_type():
    hexagonal = LiftingConv2d(1, 1, "hexagonal-exact-c6-k3")
    square = LiftingConv2d(1, 1, "exact-c4-k3")
    picture = torch.zeros(1, 1, 9, 9)
    refuses(TypeError, "expects a HexagonalImage, got a tensor", hexagonal, picture)
    refuses(TypeError, "square pixels, got a HexagonalImage", lambda: square(HexagonalImage(picture, HexagonalGrid(4))))
    assert hexagonal(HexagonalImage(picture, HexagonalGrid(4))).shape == (1, 1, 6, 7, 7)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: HexagonalPool(2), "sublattice 3"),
    (lambda: HexagonalPool(4, "median"), "'max' or 'mean'"),
    (lambda: HexagonalPool(3, group=Dihedral(3)), "got D3"),
    (lambda: HexagonalPool(3)(torch.zeros(1, 1, 6, 9, 9)), "Pass group"),
    (lambda: HexagonalPool(3, group=Cyclic(6))(torch.zeros(1, 1, 9, 9)), "got group=C6"),
    (lambda: HexagonalPool(4)(torch.zeros(1, 1, 6, 3, 3)), "no ring of points"),
    (lambda: HexagonalPool(4)(torch.zeros(1, 1, 6, 8, 8)), "central element"),
    (lambda: HexagonalMask("square"), "'hexagon' or 'disc'"),
    (lambda: HexagonalMask()(torch.zeros(1, 8, 9)), "8x9"),
    (lambda: SmallCNN("hexagonal-exact-c6-k3", downsample="stride"), "'max' or 'blur'"),
    (lambda: SmallCNN("hexagonal-exact-c6-k3", mixing="separable"), "'dense'"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, words):
    refuses(ValueError, words, call)
