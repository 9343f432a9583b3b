"""The group axis in Fourier space: the same layer from fewer multiply-adds."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import orbitconv.nn.group_conv
import orbitconv.nn.products.fourier
from orbitconv.bases import ExactBasis, FilterBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupConv2d, LiftingConv2d, keep_filters
from orbitconv.nn.products import choice
from orbitconv.nn.products.fourier import fourier_tables, work_of
from references import FAMILIES, OPTIONS, check_gradients_of_each_image, unitary

ORDERS = pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 8, 16])
BASES = {
    **{name: FAMILIES[name] for name in ["exact-C4-3x5", "unitary-C8-3", "unitary-C5-3", "bilinear-C6-3x5"]},
    **{f"pixel-C{n}": lambda n=n: ExactBasis(Cyclic(n), 1) for n in (1, 2, 5, 8)},
}


def pair(basis: FilterBasis, fields: tuple[int, int] = (2, 4), **options) -> tuple[GroupConv2d, GroupConv2d]:
    """A dense layer and one of the same weights in Fourier space, float64."""
    dense, other = (GroupConv2d(*fields, basis, fourier=on, **options).double() for on in (False, True))
    if dense.bias is not None:
        nn.init.normal_(dense.bias)
    other.load_state_dict(dense.state_dict())
    return dense, other


def sample(layer: GroupConv2d, batch: int = 2, side: int = 7) -> Tensor:
    shape = batch, layer.in_channels, layer.group.order, side, side + 1
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@ORDERS
def test_waves_are_orthonormal_and_shifts_are_blocks(order):
    waves, shifts = fourier_tables(order)
    rows = waves.flatten(0, 1)
    torch.testing.assert_close(rows.T @ rows, torch.eye(order, dtype=torch.float64), rtol=0, atol=1e-14)
    for m in range(order):
        turned = torch.eye(order, dtype=torch.float64).roll(m, 1)  # takes x to its copy that starts at element m
        expected = torch.block_diag(*shifts[..., m])
        torch.testing.assert_close(rows @ turned @ rows.T, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", BASES)
def test_equals_the_dense_layer_and_its_gradients(name, options, layout):
    dense, other = pair(BASES[name](), **options)
    x = sample(dense)
    planes = x.flatten(1, 2).contiguous(memory_format=layout).unflatten(1, x.shape[1:3])
    found = []
    for layer in (dense, other):
        y = layer(planes)
        found.append((y.detach(), *torch.autograd.grad(y.square().sum(), (x, *layer.parameters()), retain_graph=True)))
    strides = [y.flatten(1, 2).stride() for y, *_ in found]
    assert strides[0] == strides[1]  # the layout is that of the dense layer
    for expected, values in zip(*found, strict=True):
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


@ORDERS
def test_pointwise_layer_is_numpys_cross_correlation(order):
    layer = GroupConv2d(2, 3, ExactBasis(Cyclic(order), 1), bias=False, fourier=True).double()
    x = sample(layer).detach().numpy()
    kernel = np.fft.fft(layer.coefficients.detach().numpy()[..., 0], axis=2).conj()
    expected = np.fft.ifft(np.einsum("oig,bighw->boghw", kernel, np.fft.fft(x, axis=2)), axis=2).real
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda layer: layer.half().double()], ids=["deepcopy", "dtypes"])
def test_tables_stay_exact(again):
    dense, other = pair(unitary(Cyclic(8), 3))
    dense, other = again(dense), again(other)
    x = sample(dense)
    torch.testing.assert_close(other(x), dense(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_autocast_computes_in_sixteen_bits(kernel_size):
    layer = GroupConv2d(
        2, 4, HarmonicBasis(Cyclic(8), 3) if kernel_size == 3 else ExactBasis(Cyclic(8), 1), fourier=True
    )
    x = torch.randn(2, 2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    expected = layer(x)
    assert (y.float() - expected).norm() < 0.02 * expected.norm()


def test_torch_func_goes_through():
    basis = HarmonicBasis(Cyclic(8), 3)
    nets = [
        nn.Sequential(LiftingConv2d(1, 2, basis), nn.ReLU(), GroupConv2d(2, 2, basis, fourier=on))
        for on in (False, True)
    ]
    check_gradients_of_each_image(*nets, atol=1e-12)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("basis", [HarmonicBasis(Cyclic(8), 3), ExactBasis(Cyclic(5), 1)], ids=["3x3", "1x1"])
def test_trains_in_one_graph_for_batches_of_any_size(basis):
    torch._dynamo.reset()
    dense, other = pair(basis, padding=1)
    other(sample(dense))  # einops looks for torch when it is first called
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    for batch in (3, 2):
        x = sample(dense, batch)
        torch._dynamo.mark_dynamic(x, 0)
        with torch.compiler.set_stance("default" if batch == 3 else "fail_on_recompile"):
            found = torch.autograd.grad(compiled(x).square().sum(), x)[0]
        expected = torch.autograd.grad(dense(x).square().sum(), x)[0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def uses_fourier(layer: GroupConv2d, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> bool:
    calls = []
    usual = orbitconv.nn.group_conv.correlate_in_fourier_space
    monkeypatch.setattr(orbitconv.nn.group_conv, "correlate_in_fourier_space", lambda *a: calls.append(1) or usual(*a))
    layer(x)
    return bool(calls)


def test_it_is_taken_call_by_call_where_pixels_are_few(monkeypatch):
    layer = GroupConv2d(32, 32, HarmonicBasis(Cyclic(8), 3), padding=1)
    few, many = torch.randn(2, 32, 8, 8, 8), torch.randn(2, 32, 8, 96, 96)
    assert layer.fourier == "auto"
    assert uses_fourier(layer, few, monkeypatch)
    assert not uses_fourier(layer, many, monkeypatch)
    torch.testing.assert_close(layer(few), layer.convolve(few.flatten(1, 2)).unflatten(1, (32, 8)), rtol=0, atol=1e-4)
    last = few.flatten(1, 2).contiguous(memory_format=torch.channels_last).unflatten(1, (32, 8))
    assert uses_fourier(layer, last, monkeypatch)
    assert not uses_fourier(layer, few[:, :, :, ::2], monkeypatch)  # neither layout
    with torch.autocast("cpu", torch.bfloat16):
        assert not uses_fourier(layer, few, monkeypatch)
    assert not uses_fourier(copy.deepcopy(layer).double(), few.double(), monkeypatch)
    assert layer(few[:0]).shape == few[:0].shape
    with keep_filters(layer):
        assert not uses_fourier(layer, few, monkeypatch)


@pytest.mark.parametrize("options", [{"fourier": False}, {"recompute": True}], ids=str)
def test_it_is_not_taken_by_layers_that_do_otherwise(options, monkeypatch):
    few = torch.randn(2, 32, 8, 8, 8)
    assert not uses_fourier(GroupConv2d(32, 32, HarmonicBasis(Cyclic(8), 3), **options), few, monkeypatch)
    assert GroupConv2d(64, 64, ExactBasis(Dihedral(4), 1), fourier="auto").work is None


def always_by_fourier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let layers that choose by themselves take the Fourier product for every input."""
    monkeypatch.setattr(choice, "reason_not_measured", lambda *_: None)
    monkeypatch.setattr(choice, "expected_share", lambda *_, **__: 0.5)
    monkeypatch.setattr(choice, "storage_of", lambda _: torch.float32)


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch's own, where it first takes a forward-mode derivative
def test_derivatives_of_every_kind_go_through_parts(monkeypatch):
    dense, other = pair(HarmonicBasis(Cyclic(3), 2), (1, 2))
    other.fourier = "auto"
    always_by_fourier(monkeypatch)
    monkeypatch.setattr(orbitconv.nn.products.fourier, "CHUNK", 1)  # one image at a time
    x = torch.randn(2, 1, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(other, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(other, (x,))
    tangent = torch.randn_like(x)
    (_, expected), (_, found) = (torch.func.jvp(layer, (x.detach(),), (tangent,)) for layer in (dense, other))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_parts_keep_nothing_but_their_input():
    layer = GroupConv2d(64, 64, HarmonicBasis(Cyclic(8), 3), padding=1)
    x = torch.randn(8, 64, 8, 16, 16)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.update({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()}) or t, lambda t: t
    ):
        y = layer(x)
    assert y.grad_fn is not None
    weights = sum(t.nbytes for t in (layer.coefficients, layer.basis.atoms, layer.waves, layer.shifts))
    assert sum(kept.values()) <= x.nbytes + weights


@pytest.mark.parametrize("fourier", [True, "auto"])
def test_large_batches_are_taken_in_parts(fourier, monkeypatch):
    dense, other = pair(HarmonicBasis(Cyclic(8), 3), padding=1)
    other.fourier = fourier
    always_by_fourier(monkeypatch)
    x = sample(dense, batch=5)
    monkeypatch.setattr(orbitconv.nn.products.fourier, "CHUNK", 2 * 56 * work_of(other).between)  # two images
    found = []
    for layer in (dense, other):
        y = layer(x)
        found.append((y.detach(), *torch.autograd.grad(y.square().sum(), (x, *layer.parameters()))))
    for expected, values in zip(*found, strict=True):
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))
    sizes = []
    usual = orbitconv.nn.group_conv.correlate_in_fourier_space
    monkeypatch.setattr(
        orbitconv.nn.group_conv, "correlate_in_fourier_space", lambda x, *a: sizes.append(len(x)) or usual(x, *a)
    )
    other(x)
    assert sizes == [2, 2, 1]


def test_refuses_groups_with_mirrors_and_other_values():
    with pytest.raises(ValueError, match=r"supports fourier=True for cyclic groups, got D4. Leave it out"):
        GroupConv2d(1, 1, ExactBasis(Dihedral(4), 3), fourier=True)
    with pytest.raises(ValueError, match=r"expects fourier=False, True or 'auto', got 'yes'"):
        GroupConv2d(1, 1, ExactBasis(Cyclic(4), 3), fourier="yes")
