"""The compiled expansion: its numbers beside the definition, and what happens where it cannot be built or loaded."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.autograd.forward_ad as fwAD
import torch.nn.functional as F
from torch import Tensor

from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.nn import GroupConv2d
from orbitconv.nn.products import kernel
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.kernel import library as kernel_library
from orbitconv.nn.products.kernel import ops
from orbitconv.nn.products.kernel.guard import install
from orbitconv.nn.products.kernel.library import forget, library, place
from orbitconv.nn.products.turning import turning_of
from raising import refuses

SIZES = [  # group, atoms, pixels: around the lengths of vectors and the heights of tiles
    (Cyclic(1), 1, (1, 2)), (Cyclic(4), 4, (2, 2)), (Cyclic(5), 7, (1, 7)), (Cyclic(8), 6, (3, 3)),
    (Cyclic(13), 8, (2, 4)), (Dihedral(3), 9, (3, 5)), (Dihedral(4), 16, (4, 4)), (Cyclic(16), 11, (5, 5)),
    (Dihedral(8), 25, (5, 5)), (Cyclic(6), 49, (7, 7)),
]  # fmt: skip


def sample(group: Group, num_atoms: int, pixels: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Coefficients and atoms, without any structure."""
    coefficients = torch.randn(3, 5, group.order, num_atoms, dtype=dtype)
    return coefficients, torch.randn(group.order, num_atoms, *pixels, dtype=dtype)


@pytest.fixture
def calls(monkeypatch):
    """Names of the compiled functions that are called."""
    names = []
    real = ops.call

    def call(library, name, *arguments):
        names.append(name)
        return real(library, name, *arguments)

    monkeypatch.setattr(ops, "call", call)
    return names


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("group", "num_atoms", "pixels"), SIZES, ids=str)
def test_filters_and_their_transpose_are_those_of_a_loop(
    built_kernel, monkeypatch, group, num_atoms, pixels, dtype, threads
):
    monkeypatch.setattr(ops, "_ALONE", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    coefficients, atoms = sample(group, num_atoms, pixels, dtype)
    turning = turning_of(group)
    weight = ops.expand(coefficients, atoms, turning.source).double().unflatten(0, (3, -1)).unflatten(2, (5, -1))
    planes = torch.randn(3 * group.order, 5 * group.order, *pixels, dtype=dtype)
    back = ops.take_back(planes, atoms, turning.target).double()
    parts = planes.double().unflatten(0, (3, -1)).unflatten(2, (5, -1))
    expected_back, most = torch.zeros_like(back), 1e-5 if dtype == torch.float32 else 1e-13
    for g in range(group.order):
        for m in range(group.order):
            h = int(group.product[g, m])
            expected = torch.einsum("oid,dyx->oiyx", coefficients[:, :, m].double(), atoms[g].double())
            torch.testing.assert_close(weight[:, g, :, h], expected, rtol=0, atol=most)
            expected_back[:, :, m] += torch.einsum("oiyx,dyx->oid", parts[:, g, :, h], atoms[g].double())
    assert (back - expected_back).norm() / expected_back.norm() < most / 10


def test_a_layer_calls_it_forward_and_back_and_gives_the_same_numbers(built_kernel, calls):
    layer = GroupConv2d(3, 4, "spectral-c8-k5", padding=2, fourier=False)
    x = torch.randn(2, 3, 8, 9, 9)
    found = []
    for block in (torch.enable_grad, kernel.switched_off):
        with block():
            y = layer(x)
            found.append((y, *torch.autograd.grad(y.square().sum(), (layer.coefficients, layer.bias))))
    assert calls == ["expand", "take_back"]
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-4)


def test_what_it_does_not_know_goes_on_in_torch(built_kernel, calls):
    group, turning = Cyclic(4), turning_of(Cyclic(4))
    coefficients, atoms = sample(group, 4, (3, 3), torch.float32)
    expand_group(coefficients.bfloat16(), atoms.bfloat16(), turning)
    expand_group(coefficients.to("meta"), atoms.to("meta"), turning)
    expand_group(coefficients, atoms, turning, channels_last=True)
    expand_group(coefficients, atoms[..., :1, :1], turning)
    assert calls == []


def test_gradients_that_lie_channels_last_come_back_too(built_kernel):
    layer = GroupConv2d(3, 4, "spectral-c8-k3", padding=1, fourier=False)
    x = torch.randn(2, 24, 9, 9).contiguous(memory_format=torch.channels_last)
    weight = layer.filters()
    (found,) = torch.autograd.grad(F.conv2d(x, weight).square().sum(), layer.coefficients)
    with kernel.switched_off():
        (expected,) = torch.autograd.grad(F.conv2d(x, layer.filters()).square().sum(), layer.coefficients)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_training_with_it_can_be_repeated_to_the_bit(built_kernel):
    turning = turning_of(Cyclic(16))
    coefficients, atoms = sample(Cyclic(16), 11, (5, 5), torch.float32)
    planes = ops.expand(coefficients, atoms, turning.source)
    first, second = (ops.take_back(planes, atoms, turning.target) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.compile
def test_operators_keep_the_rules_of_torch(built_kernel):
    turning = turning_of(Dihedral(3))
    coefficients, atoms = sample(Dihedral(3), 5, (3, 3), torch.float64)
    for operator, first, table in (
        (ops._operators().expand, coefficients, turning.source),
        (ops._operators().take_back, ops.expand(coefficients, atoms, turning.source), turning.target),
    ):
        checked = torch.library.opcheck(operator, (first, atoms, table))
        assert set(checked.values()) == {"SUCCESS"}


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch's own, where it first takes a forward-mode derivative
def test_gradients_have_derivatives_along_a_direction(built_kernel):
    layer = GroupConv2d(2, 3, "spectral-c4-k3", padding=1, fourier=False, dtype=torch.float64)
    x = torch.randn(2, 2, 4, 5, 5, dtype=torch.float64)
    direction = torch.randn_like(layer.coefficients)

    def gradient(coefficients: Tensor) -> Tensor:
        y = torch.func.functional_call(layer, {"coefficients": coefficients}, (x,))
        return torch.autograd.grad(y.pow(3).sum(), coefficients)[0]

    at = layer.coefficients.detach()
    with fwAD.dual_level():
        found = fwAD.unpack_dual(gradient(fwAD.make_dual(at.clone().requires_grad_(), direction))).tangent
    step = 1e-5
    ahead, behind = (gradient((at + sign * step * direction).requires_grad_()) for sign in (1, -1))
    torch.testing.assert_close(found, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-4)


def test_threads_may_come_to_it_at_once(built_kernel):
    layers = [GroupConv2d(2, 2, "spectral-c8-k3") for _ in range(8)]
    with kernel.switched_off():
        expected = [layer.filters() for layer in layers]
    forget()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda layer: layer.filters(), layers))
    torch.testing.assert_close(list(found), list(expected))


@pytest.mark.compile
def test_a_trace_holds_operations_of_torch_only(built_kernel, tmp_path):
    layer = GroupConv2d(2, 2, "spectral-c4-k3", padding=1, fourier=False).eval()
    x = torch.randn(1, 2, 4, 5, 5)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that traces are out of fashion
        torch.jit.trace(layer, x).save(tmp_path / "layer.pt")
        torch.testing.assert_close(torch.jit.load(tmp_path / "layer.pt")(x), layer(x))


@pytest.mark.parametrize("error", [PermissionError("not yours"), RuntimeError("no home")])
def test_layers_work_where_the_cache_cannot_be_looked_at(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(kernel_library, "place", fail)
    forget()
    assert not kernel.is_built()
    assert GroupConv2d(2, 2, "spectral-c4-k3").filters().shape == (8, 8, 3, 3)


def test_building_again_takes_the_place_of_what_was_loaded(built_kernel, monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    kernel.build()
    first = library()
    kernel.build()
    assert library() is not first
    assert library()._handle != first._handle


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Writes the script that is the compiler, and gives an empty cache."""

    def make(script):
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("CXX", str(path))
        return tmp_path / "cache"

    return make


def test_a_compiler_without_threads_is_told(built_kernel, compiler):
    compiler('case "$*" in *-fopenmp*) exit 1;; esac\nexec c++ "$@"')
    with pytest.warns(UserWarning, match="runs on one thread"):
        kernel.build()
    assert kernel.is_built()


def test_refuses_to_build_without_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    refuses(FileNotFoundError, r"needs a C\+\+ compiler, and none of .* is there", kernel.build)
    monkeypatch.setenv("CXX", "nothing-of-this-name -O1")
    refuses(FileNotFoundError, "CXX names 'nothing-of-this-name', which is not there", kernel.build)
    monkeypatch.setenv("CXX", "'unclosed")
    refuses(ValueError, r"CXX is the command of a C\+\+ compiler.*No closing quotation", kernel.build)
    assert list(tmp_path.rglob("*.so")) == []


@pytest.mark.parametrize(("script", "message"), [
    ("echo 'no such instruction' >&2; exit 1", r"The compiler failed: .*expansion\.cpp.*\nno such instruction"),
    (
        'for last in "$@"; do [ "$before" = -o ] && echo text > "$last"; before="$last"; done',
        "invalid ELF|too short",
    ),
])  # fmt: skip
def test_refuses_what_a_broken_compiler_makes(compiler, script, message):
    cache = compiler(script)
    refuses(OSError, message, kernel.build)
    assert list(cache.rglob("*.so")) == []


@pytest.mark.parametrize(("right", "wrong"), [
    ("* factors[r][n]", "* factors[0][n]"),
    ("const T* block = task.numbers;", "const T* block = task.numbers + (rows == 8);"),
    ("const T* block = task.numbers;", "const T* block = task.numbers + (rows == 1);"),
    ("plane < outputs * order; plane++)", "plane < outputs * order; plane += threads)"),
])  # fmt: skip
def test_refuses_a_kernel_that_computes_something_else(kernel_cache, spoil, right, wrong):
    cache = spoil("SOURCE", right, wrong)
    refuses(ArithmeticError, r"is wrong: \w+ in torch\.float32 is off by", kernel.build)
    assert list(cache.rglob("*.so")) == []


def test_a_damaged_file_is_told_once_and_layers_go_on(built_kernel, monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    place().parent.mkdir(parents=True)
    place().write_text("not a library")
    install(place(), place())
    forget()
    layer = GroupConv2d(2, 2, "spectral-c4-k3")
    with pytest.warns(UserWarning, match="is not used.*orbitconv build-kernel"):
        first = layer.filters()
    assert torch.equal(layer.filters(), first)
    assert not kernel.is_built()


def test_removing_it_deletes_every_kernel(kernel_cache, built_kernel, monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    folder = place().parent
    folder.mkdir(parents=True)
    for name in (place().name, "expansion-0123.so", "other.txt"):
        os.link(next(kernel_cache.rglob("*.so")), folder / name)
    install(place(), place())
    forget()
    assert kernel.is_built()
    assert len(kernel.remove()) == 2
    assert [path.name for path in folder.iterdir()] == ["other.txt"]
    assert not kernel.is_built()


def test_blocks_without_it_may_overlap(built_kernel):
    first, second = kernel.switched_off(), kernel.switched_off()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not kernel.is_built()
    second.__exit__(None, None, None)
    assert kernel.is_built()
