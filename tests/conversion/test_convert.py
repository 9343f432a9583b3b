"""A converted network turns with its input, exactly where the grid does."""

import pytest
import torch
from torch import nn

import orbitconv
from orbitconv.bases import BilinearBasis
from orbitconv.conversion.bases import KernelSizes
from orbitconv.groups import Cyclic, act_features, parse_group
from orbitconv.metrics import equivariance_error
from orbitconv.nn import BasisConv2d, LiftingConv2d, fold
from orbitconv.testing import assert_equivariant
from plain_networks import TinyConvNeXt, TinyDense, TinyResNet

NETWORKS = {
    "resnet": (TinyResNet, (3, 13, 13)),
    "dense": (TinyDense, (2, 10, 10)),
    "convnext": (TinyConvNeXt, (3, 8, 8)),
}


def converted(name, group, **options):
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    return orbitconv.convert(build(), group, example=torch.randn(1, *shape), **options).double(), shape


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("group", ["c4", "d4", "c8"])
def test_the_output_is_invariant_before_and_after_a_step(name, group):
    network, shape = converted(name, group)
    x = torch.randn(2, *shape, dtype=torch.float64)
    for _ in range(2):
        assert_equivariant(network, x, parse_group(group), rtol=1e-11)
        output = network(x)
        loss = sum(one.square().mean() for one in (output.values() if isinstance(output, dict) else [output]))
        loss.backward()
        assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
        torch.optim.SGD(network.parameters(), 1e-3).step()


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_and_folded_twins_agree_and_leave_the_network_as_it_is(name):
    network, shape = converted(name, "d4")
    network.eval()
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        twins = [network.plain()] + ([fold(network)] if name != "convnext" else [])  # which returns a dictionary
        expected = network(x)
        for twin in twins:
            torch.testing.assert_close(twin(x), expected, rtol=1e-11, atol=1e-11)
            assert not any(isinstance(module, BasisConv2d) for module in twin.modules())


def test_the_promise_of_the_report_is_that_of_a_measurement():
    for name, side, exact in (
        ("resnet", 13, True),
        ("resnet", 12, False),
        ("convnext", 8, True),
        ("convnext", 9, False),
    ):
        build, _ = NETWORKS[name]
        torch.manual_seed(0)
        x = torch.randn(1, 3, side, side)
        network = orbitconv.convert(build(), "c4", example=x).double().eval()
        assert network.report.is_exact is exact
        assert (side in network.report.exact_sizes) is exact
        x = x.double()
        with torch.no_grad():
            upright, turned = (network(one) for one in (x, x.rot90(1, (2, 3))))
        key = "scores" if name == "convnext" else None
        difference = (turned[key] - upright[key]) if key else turned - upright
        assert (float(difference.abs().max()) < 1e-10) is exact
        wanted = orbitconv.convert(build(), "c4", example=x.float(), exact=True).double().eval()
        assert wanted.report.is_exact or name == "convnext"  # patches of 2x2 pixels do not fit 9


@pytest.mark.parametrize(("name", "side"), [("resnet", 12), ("resnet", 13), ("dense", 10), ("convnext", 9)])
@pytest.mark.parametrize("exact", [False, True])
def test_check_finds_the_first_loss_where_the_report_says(name, side, exact):
    build, (channels, _, _) = NETWORKS[name]
    x = torch.randn(2, channels, side, side, dtype=torch.float64)
    network = orbitconv.convert(build().double(), "c4", example=x, exact=exact)
    found = orbitconv.check(network, x, Cyclic(4))
    assert network.report.is_exact is (not found.losses)
    if found.losses:
        assert found.losses[0].path.startswith(f"network.{network.report.first_lost.path}")


def test_outputs_turn_as_vectors_directions_or_features():
    plain = nn.Conv2d(1, 8, 3, padding=1)
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)

    def both(output):
        network = orbitconv.convert(plain, "c4", example=x.float(), output=output).double()
        with torch.no_grad():
            return network(x).rot90(1, (2, 3)) if output != "equivariant" else network(x), network(x.rot90(1, (2, 3)))

    upright, turned = both("vector")
    row, column = upright.unflatten(1, (-1, 2)).unbind(2)
    torch.testing.assert_close(turned, torch.stack([-column, row], 2).flatten(1, 2), rtol=0, atol=1e-12)
    upright, turned = both("regular")
    torch.testing.assert_close(turned, upright.roll(2, 1), rtol=0, atol=1e-12)
    upright, turned = both("equivariant")
    torch.testing.assert_close(turned, act_features(upright, Cyclic(4), 1), rtol=0, atol=1e-12)
    upright, turned = both((("vector", 4), "invariant"))
    torch.testing.assert_close(turned[:, 4:], upright[:, 4:], rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="Did you mean 'vector'"):
        both("vectors")


def test_even_and_large_kernels_of_c8_turn_better_than_by_interpolation():
    x = turned_image(48)
    for side in (4, 9):
        fitted, bilinear = KernelSizes(Cyclic(8), "spectral").of((side, side)), BilinearBasis(Cyclic(8), side)
        assert fitted.group == Cyclic(8)
        errors = []
        for basis in (fitted, bilinear):
            torch.manual_seed(0)
            layer = LiftingConv2d(1, 8, basis, bias=False).double()
            errors.append(float(equivariance_error(layer, x, Cyclic(8), elements=[1])[""][0]))
        assert errors[0] < 0.3 * errors[1]


def turned_image(side):
    """A smooth random image."""
    torch.manual_seed(1)
    return torch.nn.functional.avg_pool2d(torch.randn(2, 1, side + 8, side + 8, dtype=torch.float64), 9, 1)
