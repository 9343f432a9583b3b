"""Whether compiled functions compute what torch computes."""

import ctypes
from itertools import product

import torch
import torch.nn.functional as F

from orbitconv.bases import load_basis
from orbitconv.nn.products.kernel import fused
from orbitconv.nn.products.kernel.ops import expand_by_index
from orbitconv.nn.products.kernel.structure import structure_of
from orbitconv.nn.products.turning import turning_of

_MOST = 3e-6
"""Largest relative error that a right product in float32 is expected to have."""
_MOST_HALF = 3e-3
"""The same for numbers that are rounded to bfloat16 in the end."""
_CASES = (  # basis, channels of output and input, height, width, stride: around blocks of rows, fields and vectors
    ("spectral-c4-k3", (9, 2), (5, 9), 1),
    ("spectral-c8-k3", (1, 18), (9, 7), 1),
    ("spectral-c8-k5", (13, 5), (7, 17), 2),
    ("unitary-c16-k3", (6, 3), (3, 300), 1),
)


def check_fused(library: ctypes.CDLL) -> None:
    """Compare the product and its gradients with torch in float64, on one thread and on two."""
    generator = torch.Generator().manual_seed(0)
    for case in _CASES:
        for threads in (1, 2):
            _check(library, *case, threads, generator)


def _check(
    library: ctypes.CDLL,
    name: str,
    channels: tuple[int, int],
    size: tuple[int, int],
    stride: int,
    threads: int,
    generator: torch.Generator,
) -> None:
    basis = load_basis(name)
    atoms, turning, structure = basis(torch.float64), turning_of(basis.group), structure_of(basis(torch.float64))
    if structure is None:
        raise ArithmeticError(f"The fused product expects {name} to be steerable, found that it is not.")
    order, padding = structure.order, structure.side // 2

    def numbers(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator, device="cpu")

    x, coefficients = numbers(2, channels[1] * order, *size), numbers(*channels, order, basis.num_atoms)
    leaves = [tensor.double().requires_grad_() for tensor in (x, coefficients)]
    with torch.enable_grad():
        expected = F.conv2d(leaves[0], expand_by_index(leaves[1], atoms, turning.source), None, stride, padding)
    gradient = numbers(*expected.shape)
    for_x, for_coefficients = torch.autograd.grad(expected, leaves, gradient.double())
    options = fused.Options(stride, (padding, padding), threads)
    added, shift = numbers(*expected.shape), numbers(channels[0])
    packed, transposed = (
        fused.pack(library, coefficients, structure, transposed=is_transposed) for is_transposed in (False, True)
    )
    found = {
        "correlate": (fused.correlate(library, x, packed, structure, options), expected),
        "correlate with a sum": (
            fused.correlate(library, x, packed, structure, options, shift, added=added, rectify=True),
            (expected + added + shift.repeat_interleave(order)[:, None, None]).relu(),
        ),
        "the gradient of the input": (
            fused.gradient_of_input(library, gradient, transposed, structure, options, size),
            for_x,
        ),
        "the gradient of the coefficients": (
            fused.gradient_of_coefficients(library, x, gradient, structure, options)[0],
            for_coefficients,
        ),
    }
    with torch.no_grad():
        halves, weight = x.bfloat16(), expand_by_index(leaves[1], atoms, turning.source)
        found["correlate in bfloat16"] = (
            fused.correlate(library, halves, packed, structure, options).double(),
            F.conv2d(halves.double(), weight, None, stride, padding),
        )
    for what, (numbers_found, right) in found.items():
        error = ((numbers_found - right).norm() / right.norm()).item()
        if not error <= (_MOST_HALF if "bfloat16" in what else _MOST):
            raise wrong(f"{what} of the fused product is off by {error:.1e}")


def wrong(what: str) -> ArithmeticError:
    """The error for a kernel whose values are wrong."""
    return ArithmeticError(f"The kernel that was compiled is wrong: {what}. Try another compiler: name it in CXX.")


def check_planes(library: ctypes.CDLL) -> None:
    """Compare pooling, blurring and upsampling with what torch computes, at even and odd sides."""
    generator = torch.Generator().manual_seed(0)
    for height, width in product((3, 8, 37), (4, 7, 34)):
        x = torch.randn(3, 1, height, width, generator=generator, device="cpu")
        small = x[..., : (height + 1) // 2, : (width + 1) // 2].contiguous()
        pads = [2 if side % 2 else 1 for side in (width, height)]
        weights = [
            torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0] if side % 2 else [1.0, 3.0, 3.0, 1.0], device="cpu")
            for side in (height, width)
        ]
        window = torch.outer(*(w / w.sum() for w in weights))[None, None]
        padded = F.pad(x, (pads[0], pads[0], pads[1], pads[1]), mode="reflect")
        tall = F.interpolate(small, (height, small.shape[3]), mode="bilinear", align_corners=height % 2 == 1)
        expected = {
            "max_pool": (x, F.max_pool2d(x, 2)),
            "blur_pool": (x, F.conv2d(padded, window, stride=2)),
            "upsample": (small, F.interpolate(tall, (height, width), mode="bilinear", align_corners=width % 2 == 1)),
        }
        for (name, (given, right)), threads in product(expected.items(), (1, 2)):
            found = torch.full_like(right, torch.nan)
            getattr(library, name)(given.data_ptr(), found.data_ptr(), 3, height, width, threads)
            if not (found - right).abs().max() <= 1e-5:
                raise wrong(f"{name} differs from torch")
