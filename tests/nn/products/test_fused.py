"""The fused product: values and gradients beside a float64 convolution with expanded filters; what it leaves alone."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from orbitconv.bases import BilinearBasis, HarmonicBasis, load_basis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupConv2d
from orbitconv.nn.products import kernel
from orbitconv.nn.products.kernel import building, fused
from orbitconv.nn.products.kernel import layer as fused_layer
from orbitconv.nn.products.kernel import library as kernel_library
from orbitconv.nn.products.kernel.library import library
from orbitconv.nn.products.kernel.structure import structure_of
from raising import refuses

CASES = [  # basis, channels of output and input, batch, height, width, stride, padding, channels last
    ("spectral-c8-k3", (6, 6), (3, 14, 14), 1, 1, False),
    ("spectral-c8-k5", (7, 13), (2, 9, 11), 1, 0, True),
    ("spectral-c4-k3", (5, 3), (1, 16, 300), 1, 1, False),
    ("spectral-c12-k5", (3, 17), (2, 15, 15), 2, 2, False),
    ("spectral-c16-k7", (9, 5), (2, 16, 13), 2, 1, True),
    ("unitary-c8-k5", (3, 2), (5, 7, 7), 1, 4, False),
    ("unitary-c4-k7", (2, 3), (1, 7, 19), 1, 3, True),
    ("unitary-c16-k3", (1, 1), (2, 1, 1), 1, 1, False),
    ("spectral-c8-k7", (2, 2), (1, 9, 8), 2, 0, False),
    ("spectral-d8-k3", (3, 2), (2, 9, 8), 1, 1, False),
    ("unitary-d4-k5", (2, 3), (2, 8, 9), 2, 2, True),
]


def layer_of(basis, channels, stride=1, padding=1, **options):
    return GroupConv2d(channels[1], channels[0], basis, stride=stride, padding=padding, **options)


def input_of(layer, batch, height, width, channels_last=False):
    x = torch.randn(batch, layer.in_channels * layer.group.order, height, width)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def assert_near(found, expected, most=2e-6):
    for one, other in zip(found, expected, strict=True):
        assert ((one - other).norm() / other.norm()).item() <= most


@pytest.fixture
def calls(monkeypatch):
    """Layers that the fused product is taken for."""
    found = []
    real = fused_layer.multiply
    monkeypatch.setattr(fused_layer, "expected_share", lambda *_: 0.5)
    monkeypatch.setattr(fused_layer, "multiply", lambda *arguments: found.append(arguments[0]) or real(*arguments))
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "channels", "sizes", "stride", "padding", "last"), CASES)
def test_values_and_gradients_are_those_of_a_convolution_in_float64(
    built_kernel, calls, monkeypatch, name, channels, sizes, stride, padding, last, threads
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(fused, "_ALONE", 0)
    layer = layer_of(name, channels, stride, padding)
    torch.nn.init.normal_(layer.bias)
    x = input_of(layer, *sizes, last).requires_grad_()
    y = layer(x.unflatten(1, (-1, layer.group.order))).flatten(1, 2)
    assert calls == [layer]
    exact = layer_of(load_basis(name), channels, stride, padding, dtype=torch.float64, fourier=False)
    exact.load_state_dict(layer.state_dict())
    x64 = x.detach().double().requires_grad_()
    bias = exact.bias.repeat_interleave(layer.group.order)
    expected = F.conv2d(x64, exact.filters(), bias, stride, padding)
    weight = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, layer.coefficients, layer.bias), weight)
    right = torch.autograd.grad(expected, (x64, exact.coefficients, exact.bias), weight.double())
    assert_near([y, *found], [expected, *right])


def drawn_call(draw):
    """A basis, a layer on it, and input for it, all of them small and drawn at random."""
    order, side = draw.choice([4, 8, 12, 16]), draw.choice([3, 5, 7])
    basis = HarmonicBasis(Cyclic(order), side) if draw.random() < 0.3 else load_basis(
        f"{draw.choice(['spectral', 'unitary'])}-c{order}-k{side}"
    )  # fmt: skip
    stride, padding = draw.choice([1, 2]), draw.randrange(side)
    layer = layer_of(basis, (draw.randint(1, 9), draw.randint(1, 18)), stride, padding, bias=draw.random() < 0.5)
    least = max(1, side - 2 * padding)
    sizes = draw.randint(1, 3), draw.randint(least, least + 12), draw.randint(least, least + 20)
    return layer, input_of(layer, *sizes, draw.random() < 0.5)


@pytest.mark.parametrize("seed", range(24))
def test_calls_drawn_at_random_agree_with_the_definition_in_float64(built_kernel, calls, monkeypatch, seed):
    draw = random.Random(seed)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1 + seed % 2)
    monkeypatch.setattr(fused, "_ALONE", 0)
    layer, x = drawn_call(draw)
    x, order = x.requires_grad_(), layer.group.order
    y = layer(x.unflatten(1, (-1, order))).flatten(1, 2)
    assert calls == [layer]
    x64 = x.detach().double().requires_grad_()
    coefficients = layer.coefficients.detach().double().requires_grad_()
    atoms, difference = layer.basis(torch.float64), torch.arange(order)
    difference = (difference[None] - difference[:, None]) % order  # g^-1 h
    weight = torch.einsum("oighd,gdyx->ogihyx", coefficients[:, :, difference], atoms).flatten(2, 3).flatten(0, 1)
    expected = F.conv2d(x64, weight, None, layer.stride, layer.padding[::2])
    upstream = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, layer.coefficients), upstream)
    assert_near([y, *found], [expected, *torch.autograd.grad(expected, (x64, coefficients), upstream.double())])


def test_the_same_call_gives_the_same_bits(built_kernel, calls, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(fused, "_ALONE", 0)
    layer = layer_of("spectral-c8-k3", (9, 17))
    x = torch.randn(8, 17, 8, 14, 14, requires_grad=True)
    runs = []
    for _ in range(3):
        y = layer(x)
        runs.append([y, *torch.autograd.grad(y.square().sum(), (x, *layer.parameters()))])
    assert len(calls) == 3
    assert all(torch.equal(one, other) for run in runs[1:] for one, other in zip(run, runs[0], strict=True))


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_other_borders_are_padded_first(built_kernel, calls, mode):
    layer = layer_of("spectral-c8-k5", (3, 4), padding=2, padding_mode=mode)
    x = torch.randn(2, 4, 8, 9, 9)
    with kernel.switched_off():
        expected = layer(x)
    assert_near([layer(x)], [expected])
    assert calls == [layer]


def test_the_output_keeps_the_layout_of_the_input(built_kernel, calls):
    layer = layer_of("spectral-c4-k3", (4, 4))
    x = input_of(layer, 2, 9, 9, channels_last=True)
    y = layer(x.unflatten(1, (4, 4))).flatten(1, 2)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert calls == [layer]


def test_gradients_can_be_differentiated(built_kernel, calls):
    layer = layer_of("spectral-c8-k3", (3, 2))
    x = torch.randn(2, 2, 8, 7, 7, requires_grad=True)

    def penalty():
        (gradient,) = torch.autograd.grad(layer(x).pow(2).sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), (x, layer.coefficients))

    found = penalty()
    with kernel.switched_off():
        expected = penalty()
    assert_near(found, expected)


@pytest.mark.parametrize("batch", [0, 1])
def test_empty_batches_have_empty_outputs_and_no_gradient(built_kernel, calls, batch):
    layer = layer_of("spectral-c8-k3", (3, 2))
    y = layer(torch.randn(batch, 2, 8, 7, 7))
    y.sum().backward()
    assert y.shape == (batch, 3, 8, 7, 7)
    assert bool(layer.coefficients.grad.any()) == bool(batch)


@pytest.mark.parametrize("size", [(5, 9), (9, 6), (1, 1), (0, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_planes_smaller_than_the_kernel_are_refused_as_by_a_convolution(built_kernel, calls, stride, size):
    layer = layer_of("spectral-c8-k7", (2, 2), stride, 0)
    x = torch.randn(2, 2, 8, *size)
    for refusing in (layer, torch.nn.Conv2d(16, 16, 7)):
        with pytest.raises(RuntimeError, match=r"Kernel size can't be greater|non-zero size|optional 0 dim batch"):
            refusing(x if refusing is layer else x.flatten(1, 2))
    assert calls == []


def test_one_bad_image_leaves_the_others_alone(built_kernel, calls):
    layer = layer_of("spectral-c8-k3", (3, 2))
    x = torch.randn(5, 2, 8, 3, 3)
    expected = layer(x)
    x[2] = torch.nan
    y = layer(x)
    assert y[2].isnan().all()
    assert torch.equal(y[[0, 1, 3, 4]], expected[[0, 1, 3, 4]])


def test_atoms_that_change_are_seen(built_kernel, calls):
    layer = layer_of("spectral-c8-k3", (3, 2))
    x = torch.randn(1, 2, 8, 7, 7)
    before = layer(x)
    layer.basis.atoms.mul_(2)
    assert_near([layer(x) - layer.bias[:, None, None, None]], [2 * (before - layer.bias[:, None, None, None])])


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch's own, where it first takes a forward-mode derivative
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("by", ["autocast", "bfloat16"])
@pytest.mark.parametrize(("name", "stride"), [("spectral-c8-k3", 2), ("unitary-d4-k5", 1)])
def test_bfloat16_is_rounded_once_from_sums_in_float32(built_kernel, calls, name, stride, by, last):
    layer = layer_of(name, (3, 5), stride)
    torch.nn.init.normal_(layer.bias)
    layer = layer.bfloat16() if by == "bfloat16" else layer
    exact = layer_of(load_basis(name), (3, 5), stride, dtype=torch.float64, fourier=False)
    exact.load_state_dict(layer.state_dict())
    x = input_of(layer, 2, 9, 21, last).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=by == "autocast"):
        y = layer(x.unflatten(1, (-1, layer.group.order))).flatten(1, 2)
    assert calls == [layer]
    x64 = x.detach().double().requires_grad_()
    expected = exact(x64.unflatten(1, (-1, layer.group.order))).flatten(1, 2)
    weight = torch.randn(y.shape).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=by == "autocast"):
        found = torch.autograd.grad(y, (x, layer.coefficients, layer.bias), weight)
    right = torch.autograd.grad(expected, (x64, exact.coefficients, exact.bias), weight.double())
    wanted = torch.float32 if by == "autocast" else torch.bfloat16
    assert [t.dtype for t in (y, *found)] == [torch.bfloat16, torch.bfloat16, wanted, wanted]
    for one, other in zip((y, *found), (expected, *right), strict=True):
        rounding = 2.0**-8 if one.dtype == torch.bfloat16 else 0  # half of the last of eight binary digits
        assert bool(((one - other).abs() <= rounding * other.abs() + 4e-6 * other.abs().max()).all())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # of what torch loads for derivatives
def test_what_it_does_not_know_goes_on_in_torch(built_kernel, calls):
    layer, x = layer_of("spectral-c8-k3", (3, 2)), torch.randn(2, 2, 8, 7, 7)
    coefficients = layer.coefficients.detach()

    def loss(coefficients):
        return torch.func.functional_call(layer, {"coefficients": coefficients}, (x,)).square().sum()

    torch.func.grad(loss)(coefficients)
    torch.func.jvp(loss, (coefficients,), (coefficients,))
    torch.vmap(layer)(x[None])
    torch.compile(layer, backend="eager")(x)
    with torch.autocast("cpu", torch.float16):
        layer(x)
    with FlopCounterMode(display=False) as counted:
        layer(x)
    assert counted.get_total_flops()
    for options in ({"dilation": 2}, {"groups": 2}, {"stride": 3}, {"fourier": False}, {"dtype": torch.float64}):
        other = GroupConv2d(2, 4, "spectral-c8-k3", **options)
        other(x.to(other.coefficients.dtype))
    for basis in ("spectral-c6-k3", "spectral-d6-k3"):
        other = GroupConv2d(2, 4, basis)
        other(torch.randn(1, 2, other.group.order, 7, 7))
    with kernel.switched_off():
        layer(x)
    assert calls == []


@pytest.mark.parametrize("order", [4, 8, 12, 16])
def test_bases_that_obey_the_law_of_the_group_keep_their_number_of_atoms(order):
    for name in (f"spectral-c{order}-k5", f"unitary-c{order}-k5"):
        atoms = load_basis(name)(torch.float64)
        assert structure_of(atoms).rank == atoms.shape[1]
    atoms = HarmonicBasis(Cyclic(order), 5)(torch.float64)
    assert structure_of(atoms).rank == atoms.shape[1]


def test_other_bases_have_no_structure():
    rotated = BilinearBasis(Cyclic(8), 3)(torch.float64)
    spectral = load_basis("spectral-c8-k3")(torch.float64)
    assert structure_of(rotated) is None  # obeys no law
    assert structure_of(torch.zeros_like(spectral)) is None
    assert structure_of(spectral * torch.nan) is None
    assert structure_of(spectral.flip(3)) is None  # turns the other way
    assert structure_of(spectral + 1e-5 * torch.randn_like(spectral)) is None
    assert structure_of(load_basis("spectral-c6-k3")(torch.float64)) is None


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() != "AVX512", reason="no shorter vectors to try here")
@pytest.mark.parametrize("kind", ["AVX2", "none"])
def test_processors_with_shorter_vectors_compute_the_same(monkeypatch, tmp_path, kind):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    options = kernel_library._INSTRUCTIONS.get(kind, ())
    for module in (building, kernel_library):
        monkeypatch.setattr(module, "instructions", lambda: options)
    try:
        assert building.build().is_file()  # which compares all that it computes with torch in float64
    finally:
        kernel_library.forget()


@pytest.mark.parametrize(("right", "wrong"), [
    ("re[f] = a - b, im[f] = c - a - b;", "re[f] = a - b, im[f] = c - a;"),
    ("sums[n] += sums[part * size + n];", "sums[n] += 0;"),
    ("y % p.spread", "false"),
])  # fmt: skip
def test_a_kernel_that_computes_something_else_is_refused(kernel_cache, spoil, right, wrong):
    cache = spoil("FUSED_SOURCE", right, wrong)
    refuses(ArithmeticError, "of the fused product is off by", building.build)
    assert list(cache.rglob("*.so")) == []


def test_packed_coefficients_serve_many_calls(built_kernel):
    layer = layer_of("spectral-c8-k3", (5, 6))
    x, functions = input_of(layer, 2, 9, 9), library()
    known = fused_layer.structure(layer.basis)
    packed = fused.pack(functions, layer.coefficients.detach(), known)
    y = fused.correlate(functions, x, packed, known, fused.Options(1, (1, 1)), layer.bias.detach())
    assert_near([y], [F.conv2d(x.double(), layer.double().filters(), layer.bias.repeat_interleave(8), padding=1)])
