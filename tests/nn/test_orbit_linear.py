import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from orbitconv.nn import OrbitLayout, OrbitLinear, orbit_layout
from orbitconv.nn.orbit_layout import orbit_rows
from raising import refuses
from transformations import SIDE, matrix_of, zero_shift

PIXELS = SIDE * SIDE
ORDERS = (SIDE, SIDE)
SHIFTS = torch.stack([matrix_of(lambda x, axis=axis: x.roll(1, axis)) for axis in (-2, -1)])
ORDER = torch.randperm(PIXELS, generator=torch.Generator().manual_seed(7))
PERMUTED = SHIFTS[:, ORDER][:, :, ORDER]
DOUBLE = {"dtype": torch.float64}


def rotation(size=PIXELS):
    return torch.linalg.qr(torch.randn(size, size, **DOUBLE)).Q


def naive(layer, x, filters, generators, orders):
    """Straight from the definition, one group element and one product at a time."""
    y = torch.zeros(len(x), len(filters), *orders, **DOUBLE)
    for powers in itertools.product(*map(range, orders)):
        L = torch.eye(generators.shape[-1], **DOUBLE)
        for generator, power in zip(generators, powers, strict=True):
            L = L @ torch.linalg.matrix_power(generator, power)
        for o, i in itertools.product(range(len(filters)), range(x.shape[1])):
            y[(slice(None), o, *powers)] += x[:, i] @ (L @ filters[o, i])
    return y if layer.bias is None else y + layer.bias.detach().reshape(-1, *[1] * len(orders))


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_local_filters_of_shifts_are_conv2d_in_any_pixel_order(permuted, padding_mode, kernel_size):
    place = ORDER if permuted else torch.arange(PIXELS)
    seed = int((place == 0).nonzero())  # where the pixel in the corner stands
    layer = OrbitLinear(
        3, 4, PERMUTED if permuted else SHIFTS, ORDERS, kernel_size=kernel_size, seed=seed, padding_mode=padding_mode,
        **DOUBLE,
    )  # fmt: skip
    conv = torch.nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2, padding_mode=padding_mode, **DOUBLE)
    layer.load_state_dict(conv.state_dict(), strict=False)
    images = torch.randn(2, 3, SIDE, SIDE, **DOUBLE)
    torch.testing.assert_close(layer(images.flatten(2)[:, :, place]), conv(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("filters", ["dense", "local"])
@pytest.mark.parametrize("orders", [(6,), (3, 4), (3, 3, 4)], ids=str)
def test_outputs_are_products_with_transformed_filters_in_any_coordinates(orders, filters, bias):
    size = math.prod(orders)
    shifts = [matrix_of(lambda x, axis=axis: x.roll(1, axis + 1), orders) for axis in range(len(orders))]
    mix = rotation(size)
    generators = torch.stack([mix @ shift @ mix.T for shift in shifts])
    layer = OrbitLinear(2, 3, generators, orders, filters=filters, kernel_size=3, seed=mix[:, 0], bias=bias, **DOUBLE)
    assert layer.layout is not None
    x = torch.randn(4, 2, size, **DOUBLE)
    expected = naive(layer, x, layer.filters().detach(), generators, orders)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("transforms", "orders"), [
    ([lambda x: torch.rot90(x, 1, (-2, -1))], (4,)),
    ([lambda x: x.roll(1, -1)], (SIDE,)),
    ([lambda x: zero_shift(x.clone(), 1), lambda x: zero_shift(x.clone(), 2)], ORDERS),
], ids=["quarter turns", "one shift", "shifts with zero fill"])  # fmt: skip
def test_dense_filters_need_no_layout(transforms, orders):
    generators = torch.stack([matrix_of(transform) for transform in transforms])
    layer = OrbitLinear(2, 3, generators, orders, filters="dense", **DOUBLE)
    assert layer.layout is None
    x = torch.randn(4, 2, PIXELS, **DOUBLE)
    torch.testing.assert_close(layer(x), naive(layer, x, layer.weight.detach(), generators, orders), rtol=0, atol=1e-12)


@pytest.mark.parametrize("filters", ["dense", "local"])
def test_transforming_the_input_moves_the_output_along_the_group_axes(filters):
    layer = OrbitLinear(1, 3, PERMUTED, ORDERS, filters=filters, **DOUBLE)
    x = torch.randn(2, 1, PIXELS, **DOUBLE)
    for axis, generator in enumerate(PERMUTED):
        torch.testing.assert_close(layer(x @ generator.T), layer(x).roll(1, 2 + axis), rtol=0, atol=1e-12)


@pytest.mark.parametrize("orders", [(1,), (5,), (8, 3), (2, 1, 7)], ids=str)
def test_orbits_by_doubling_are_orbits_by_single_steps(orders):
    generators = torch.randn(len(orders), 6, 6, **DOUBLE)
    start = torch.randn(2, 3, 6, **DOUBLE)
    rows = orbit_rows(start, generators, orders)
    for g, powers in enumerate(itertools.product(*map(range, orders))):
        expected = start
        for generator, power in reversed(list(zip(generators, powers, strict=True))):
            for _ in range(power):
                expected = expected @ generator.T
        torch.testing.assert_close(rows[:, :, g], expected, rtol=1e-10, atol=1e-10)


def test_layout_is_a_gather_where_the_orbit_moves_pixel_onto_pixel():
    seed = int((ORDER == 0).nonzero())
    layout = OrbitLayout(PERMUTED, ORDERS, seed)
    assert layout.rows is None
    images = torch.randn(2, SIDE, SIDE)
    assert torch.equal(layout(images.flatten(1)[:, ORDER]), images)
    assert torch.equal(layout.transpose(images), images.flatten(1)[:, ORDER])
    mix = rotation()
    product = OrbitLayout(mix @ SHIFTS @ mix.T, ORDERS, mix[:, 0], **DOUBLE)
    assert product.index is None
    x = images.double()
    torch.testing.assert_close(product(x.flatten(1) @ mix.T), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(product.transpose(x), x.flatten(1) @ mix.T, rtol=0, atol=1e-12)


def test_shifts_with_zero_fill_lay_out_from_the_corner():
    generators = torch.stack([matrix_of(lambda x, axis=axis: zero_shift(x.clone(), axis)) for axis in (1, 2)])
    assert torch.equal(orbit_layout(generators, ORDERS, 0), torch.eye(PIXELS, **DOUBLE))
    OrbitLinear(1, 2, generators, ORDERS, padding_mode="zeros")
    with pytest.raises(ValueError, match=r"commute and close with orders \(8, 8\), got ones that are off by"):
        OrbitLinear(1, 2, generators, ORDERS)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:UserWarning")
@pytest.mark.parametrize("filters", ["dense", "local"])
def test_compiles_in_one_graph(filters):
    layer = OrbitLinear(1, 2, PERMUTED, ORDERS, filters=filters, **DOUBLE)
    x = torch.randn(2, 1, PIXELS, **DOUBLE)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x), rtol=0, atol=1e-12)


def test_warns_where_the_orbit_leaves_features_out():
    with pytest.warns(UserWarning, match="spans 8 of 64 features"):
        layer = OrbitLinear(1, 2, SHIFTS[1:], (SIDE,), **DOUBLE)
    x = torch.randn(2, 1, SIDE, SIDE, **DOUBLE)
    expected = F.conv1d(F.pad(x[:, :, 0], (2, 2), mode="circular"), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


def test_refuses_seeds_that_lay_nothing_out():
    ones = torch.ones(PIXELS, **DOUBLE) / SIDE
    with pytest.raises(ValueError, match=r"64 transformed copies are orthonormal, got copies that are off by 7\.9"):
        OrbitLinear(1, 1, SHIFTS, ORDERS, seed=ones)
    refuses(ValueError, "filters='dense'", orbit_layout, torch.eye(3)[None], [2])
    refuses(ValueError, "seed from 0 to 63, got 64", orbit_layout, SHIFTS, ORDERS, 64)
    refuses(ValueError, r"seed of 64 features, got shape \(3,\)", orbit_layout, SHIFTS, ORDERS, torch.ones(3))


def test_refuses_bad_arguments():
    refuses(ValueError, r"one for each of the 1 orders, got \(2, 64, 64\)", OrbitLinear, 1, 1, SHIFTS, [SIDE])
    refuses(ValueError, "finite generators", OrbitLinear, 1, 1, SHIFTS * math.nan, ORDERS)
    refuses(TypeError, "got list", OrbitLinear, 1, 1, list(SHIFTS), ORDERS)
    refuses(TypeError, r"got a tensor of torch\.int64", lambda: OrbitLinear(1, 1, SHIFTS.long(), ORDERS))
    with pytest.raises(ValueError, match="keep norms"):
        OrbitLinear(1, 1, torch.randn(1, PIXELS, PIXELS, **DOUBLE), [SIDE], filters="dense")
    with pytest.raises(ValueError, match=r"odd kernel_size .* got kernel_size=4 and orders \(8, 8\)"):
        OrbitLinear(1, 1, SHIFTS, ORDERS, kernel_size=4)
    refuses(ValueError, "kernel_size=9", OrbitLinear, 1, 1, SHIFTS, ORDERS, kernel_size=9)
    refuses(ValueError, "'dense' or 'local'", OrbitLinear, 1, 1, SHIFTS, ORDERS, filters="sparse")
    refuses(ValueError, "out_channels >= 1", OrbitLinear, 1, 0, SHIFTS, ORDERS)


@pytest.mark.parametrize("shape", [(2, 64), (2, 3, 64), (2, 2, 63), (64,)])
def test_refuses_input_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"shape \(batch, 2, \.\.\.\) with 64 features in each channel, got"):
        OrbitLinear(2, 1, SHIFTS, ORDERS)(torch.zeros(shape))
    refuses(ValueError, "64 features at the last axis", lambda: OrbitLayout(SHIFTS, ORDERS)(torch.zeros(3)))
