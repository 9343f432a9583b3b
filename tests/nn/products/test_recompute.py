"""Filters that are expanded again for the backward pass: the same numbers from less memory."""

import copy

import pytest
import torch
from torch import Tensor, nn

from orbitconv.bases import ExactBasis, HarmonicBasis, LearnedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import BasisConv2d, GroupConv2d, LiftingConv2d
from references import OPTIONS, check_gradients_of_each_image

LAYERS = pytest.mark.parametrize("kind", [LiftingConv2d, GroupConv2d])


def pair(kind: type[BasisConv2d], basis=None, **options) -> tuple[BasisConv2d, BasisConv2d]:
    """A layer that keeps its filters, and one of the same weights that does not."""
    basis = HarmonicBasis(Cyclic(8), 3) if basis is None else basis
    keeps = kind(2, 4, basis, **options).double()
    if keeps.bias is not None:
        nn.init.normal_(keeps.bias)
    forgets = copy.deepcopy(keeps)
    forgets.recompute = True
    return keeps, forgets


def sample(layer: BasisConv2d, batch: int = 2, side: int = 7, dtype=torch.float64) -> Tensor:
    group = [layer.group.order] if isinstance(layer, GroupConv2d) else []
    return torch.randn(batch, 2, *group, side, side + 1, dtype=dtype, requires_grad=True)


@LAYERS
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_and_gradients_are_the_same_bits(kind, options):
    keeps, forgets = pair(kind, **options)
    x = sample(keeps)
    found = []
    for layer in (keeps, forgets):
        y = layer(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), (x, *layer.parameters()))))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@LAYERS
def test_gradients_of_first_and_second_order_are_those_of_differences(kind):
    layer = kind(1, 1, HarmonicBasis(Cyclic(3), 2), recompute=True, dtype=torch.float64)
    x = torch.randn(1, 1, *([3] if kind is GroupConv2d else []), 3, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), x)

    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@LAYERS
def test_a_basis_that_trains_gets_its_gradient(kind):
    basis = LearnedBasis(Cyclic(4), 3).double()
    keeps, forgets = kind(2, 3, basis, dtype=torch.float64), kind(2, 3, basis, recompute=True, dtype=torch.float64)
    forgets.coefficients = keeps.coefficients
    x = sample(keeps)
    shared = (keeps.coefficients, *basis.parameters())
    expected, found = (torch.autograd.grad(layer(x).square().sum(), shared) for layer in (keeps, forgets))
    assert expected[1].any()
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@LAYERS
def test_only_what_asks_for_a_gradient_gets_one(kind):
    keeps, forgets = pair(kind)
    x = sample(keeps)
    for wanted in ([True, False, False], [False, True, False], [False, False, True]):
        results = []
        for layer in (keeps, forgets):
            tensors = (x, layer.coefficients, layer.bias)
            for tensor, wants in zip(tensors, wanted, strict=True):
                tensor.requires_grad_(wants)
            results.append(torch.autograd.grad(layer(x).square().sum(), tensors[wanted.index(True)])[0])
        assert torch.equal(*results)


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, parameters, buffers and input aside."""
    own = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters(), *layer.buffers())}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in own:
            kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = layer(x)
    del y
    return sum(kept.values())


@LAYERS
def test_the_filters_are_not_kept(kind):
    keeps, forgets = pair(kind)
    x = sample(keeps)
    filters = keeps.filters().nbytes
    assert kept_bytes(keeps, x) >= filters
    assert kept_bytes(forgets, x) == 0  # the atoms of a fixed basis in float64 are its buffer


def test_torch_func_goes_through():
    basis = ExactBasis(Dihedral(4), 3)
    nets = [
        nn.Sequential(LiftingConv2d(1, 2, basis, recompute=on), nn.ReLU(), GroupConv2d(2, 2, basis, recompute=on))
        for on in (False, True)
    ]
    check_gradients_of_each_image(*nets, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_the_same_bits(dtype):
    keeps, forgets = (layer.float() for layer in pair(GroupConv2d))
    x = sample(keeps, dtype=torch.float32)
    found = []
    for layer in (keeps, forgets):
        with torch.autocast("cpu", dtype):
            y = layer(x)
        found.append((y, *torch.autograd.grad(y.float().square().sum(), (x, *layer.parameters()))))
    for expected, other in zip(*found, strict=True):
        assert other.dtype == expected.dtype
        assert torch.equal(other, expected)


def test_weights_changed_before_the_backward_pass_are_refused():
    _, forgets = pair(GroupConv2d)
    y = forgets(sample(forgets))
    with torch.no_grad():
        forgets.coefficients.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiles_in_one_graph():
    torch._dynamo.reset()
    keeps, forgets = pair(GroupConv2d)
    x = sample(keeps)
    compiled = torch.compile(forgets, fullgraph=True, backend="aot_eager")
    expected, found = (torch.autograd.grad(f(x).square().sum(), x)[0] for f in (keeps, compiled))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
