"""Networks whose group convolutions mix in cheaper steps."""

import pytest
import torch
from torch import nn

from networks import BASES, MODELS, SMALL, exact_c4, picture, settled
from orbitconv.bases import ExactBasis, HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.models import SmallCNN, count_multiply_adds, count_parameters, summary
from orbitconv.models.width import stage_widths
from orbitconv.nn import BasisConv2d, GroupConv2d, SeparableGroupConv2d, fold
from references import turn

NAMES = pytest.mark.parametrize("name", sorted(MODELS))
MIXING = pytest.mark.parametrize("mixing", ["full", "separable"])


def make(name: str, basis: str, mixing: str) -> nn.Module:
    """A network in eval mode and float64, of enough fields for some to pass every ReLU."""
    return settled(MODELS[name](BASES[basis], width=5, mixing=mixing, **SMALL[name][0]))


def size(basis, mixing: str, narrow: int, wide: int, side: int = 16) -> tuple[int, int]:
    """Parameters and multiply-adds of a SmallCNN on grey images, by hand."""
    order, atoms, (height, width) = basis.group.order, basis.num_atoms, basis.kernel_size
    parameters = narrow * atoms + 2 * (2 * narrow + 3 * wide) + 10 * wide + 10
    products = side**2 * narrow * order * height * width + 10 * wide
    pairs = [(narrow, narrow, side // 2), (narrow, wide, side // 2), (wide, wide, side // 4), (wide, wide, side // 4)]
    for before, after, plane in pairs:
        if mixing == "dense":
            weights, steps = before * after * order * atoms, before * after * order**2 * height * width
        else:
            weights, steps = before * atoms, before * order * height * width
            if mixing == "full":
                weights, steps = weights + before * after * order, steps + before * after * order**2
            else:
                weights += before * order + before * after
                steps += before * order**2 + before * after * order
        parameters, products = parameters + weights, products + plane**2 * steps
    return parameters, products


@NAMES
@MIXING
@pytest.mark.parametrize("basis", ["c4", "d4", "c8"])
def test_exactly_equivariant_to_quarter_turns(name, mixing, basis):
    network, x = make(name, basis, mixing), picture(SMALL[name][1])
    with torch.no_grad():
        expected = network(x)
        assert not torch.allclose(expected[0], expected[1])
        for quarters in (1, 2, 3):
            same = turn(expected, quarters) if name == "unet" else expected
            torch.testing.assert_close(network(turn(x, quarters)), same, rtol=0, atol=1e-10)


@NAMES
@MIXING
def test_kernels_larger_than_a_pixel_are_separable_and_all_others_stay(name, mixing):
    dense, network = make(name, "c4", "dense"), make(name, "c4", mixing)
    others = dict(network.named_modules())
    changed = 0
    for path, layer in dense.named_modules():
        if isinstance(layer, BasisConv2d):
            separable = isinstance(layer, GroupConv2d) and layer.kernel_size != (1, 1)
            changed += separable
            assert type(others[path]) is (SeparableGroupConv2d if separable else type(layer))
            if separable:
                assert others[path].kernel_size == layer.kernel_size
                assert (others[path].channels is None) == (mixing == "full")
    assert changed > 2


@NAMES
def test_a_plain_twin_that_shall_mix_is_refused(name):
    owner = MODELS[name].__name__
    with pytest.raises(
        ValueError, match=rf"{owner} expects mixing 'dense' for its plain twin.*got 'full'. Pass a basis"
    ):
        MODELS[name](None, width=1, mixing="full")
    with pytest.raises(ValueError, match=rf"{owner} expects mixing 'dense', 'full' or 'separable', got 'cheap'"):
        MODELS[name](exact_c4, width=1, mixing="cheap")
    MODELS[name](None, width=1, mixing="dense")


@pytest.mark.parametrize("mixing", ["dense", "full", "separable"])
@pytest.mark.parametrize("basis", [HarmonicBasis(Cyclic(8), 5), ExactBasis(Cyclic(4), (3, 3))], ids=str)
def test_parameters_and_multiply_adds_by_hand(mixing, basis):
    network = SmallCNN(basis, width=3, mixing=mixing)
    assert (count_parameters(network), count_multiply_adds(network, (1, 16, 16))) == size(basis, mixing, 3, 6)


@MIXING
@pytest.mark.parametrize("what", ["params", "compute"])
@pytest.mark.parametrize("basis", [HarmonicBasis(Cyclic(8), 5), ExactBasis(Cyclic(1), 5)], ids=str)
def test_the_width_is_the_best_of_all(mixing, what, basis):
    twin = SmallCNN(None, width=4, kernel_size=5)
    budget = count_parameters(twin) if what == "params" else count_multiply_adds(twin, (1, 28, 28))
    place = 0 if what == "params" else 1
    widths = [stage_widths((1, 2), eighths / 8) for eighths in range(1, 400)]
    best = min(abs(size(basis, mixing, *width, side=28)[place] - budget) for width in widths)
    network = SmallCNN(basis, width=what, plain_width=4, kernel_size=5, mixing=mixing)
    found = count_parameters(network) if what == "params" else count_multiply_adds(network, (1, 28, 28))
    assert abs(found - budget) == best


@NAMES
@MIXING
def test_summary_has_one_row_for_a_layer_in_steps(name, mixing):
    dense, found = (summary(make(name, "c4", how), (2, 28, 28)) for how in ("dense", mixing))
    assert [(row.name, row.fields, row.plane, row.field, row.stride) for row in found.rows] == [
        (row.name, row.fields, row.plane, row.field, row.stride) for row in dense.rows
    ]
    assert "SeparableGroupConv2d" in {row.kind for row in found.rows}
    assert sum(row.multiply_adds for row in found.rows) == found.multiply_adds < dense.multiply_adds
    assert sum(row.parameters for row in found.rows) == found.parameters < dense.parameters


@pytest.mark.compile
@NAMES
@MIXING
def test_folds_into_modules_of_torch_alone(name, mixing):
    network, x = make(name, "c8", mixing), picture(SMALL[name][1])
    plain = fold(network)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), network(x), rtol=0, atol=1e-10)
    assert not any(isinstance(module, BasisConv2d | SeparableGroupConv2d) for module in plain.modules())
