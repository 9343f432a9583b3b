"""The inner part of the product in Triton: filter planes and mix them at once, so that none of them is written.

    y[b, f, part, o, p] = sum over i, s of mixing[f, part, o, i, s] filtered[s, p],
    filtered[s, p]      = sum over taps of filters[f, s, 0, tap] X[pair(f, s), 0, p + tap]
                                         + filters[f, s, 1, tap] X[pair(f, s), 1, p + tap]

for the pairs of planes X of the input field i in Fourier space (`orbitconv.nn.products.frequencies`). A program makes
some output fields at some pixels of one image, for one pair f of frequencies of the output.
"""

# pyright: reportMissingImports=false, reportIndexIssue=false
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.frequencies import Plan

_LEAST = 16
"""Sides of the matrices that Triton multiplies, at least."""
_PIXELS, _FIELDS = 64, 32


@triton.jit
def _filter_and_mix(
    x: Any, filters: Any, pairs: Any, mixing: Any, y: Any,
    inputs: Any, outputs: Any, height: Any, width: Any, out_height: Any, out_width: Any,
    step_y: Any, step_x: Any, top: Any, left: Any,
    half: tl.constexpr, side: tl.constexpr, slots: tl.constexpr, padded: tl.constexpr,
    num_fields: tl.constexpr, num_pixels: tl.constexpr, precision: tl.constexpr,
) -> None:  # fmt: skip
    image = (tl.program_id(2) // half).to(tl.int64)
    block = tl.program_id(2) % half
    field = tl.program_id(1) * num_fields + tl.arange(0, num_fields)
    pixel = tl.program_id(0) * num_pixels + tl.arange(0, num_pixels)
    slot = tl.arange(0, padded)
    is_field, is_pixel, is_slot = field < outputs, pixel < out_height * out_width, slot < slots
    row, column = pixel // out_width * step_y - top, pixel % out_width * step_x - left
    pair = tl.load(pairs + block * slots + slot, mask=is_slot, other=0)
    first = tl.zeros((num_fields, num_pixels), dtype=tl.float32)
    second = tl.zeros((num_fields, num_pixels), dtype=tl.float32)
    for i in range(inputs):
        planes = x + ((image * inputs + i) * half + pair)[:, None] * (2 * height * width)
        filtered = tl.zeros((padded, num_pixels), dtype=tl.float32)
        for tap in range(side * side):
            r, c = row + tap // side, column + tap % side
            is_inside = is_pixel & (r >= 0) & (r < height) & (c >= 0) & (c < width)
            is_read = is_slot[:, None] & is_inside[None, :]
            at = planes + (r * width + c)[None, :]
            weight = filters + (block * slots + slot) * (2 * side * side) + tap
            filtered += tl.load(weight, mask=is_slot, other=0)[:, None] * tl.load(at, mask=is_read, other=0)
            filtered += (
                tl.load(weight + side * side, mask=is_slot, other=0)[:, None]
                * tl.load(at + height * width, mask=is_read, other=0)
            )  # fmt: skip
        factors = mixing + ((block * 2 * outputs + field)[:, None] * inputs + i) * slots + slot[None, :]
        is_factor = is_field[:, None] & is_slot[None, :]
        first += tl.dot(tl.load(factors, mask=is_factor, other=0), filtered, input_precision=precision)
        factors += outputs * inputs * slots
        second += tl.dot(tl.load(factors, mask=is_factor, other=0), filtered, input_precision=precision)
    size = out_height * out_width
    to = y + ((image * half + block) * 2 * outputs + field)[:, None] * size + pixel[None, :]
    tl.store(to, first, mask=is_field[:, None] & is_pixel[None, :])
    tl.store(to + outputs * size, second, mask=is_field[:, None] & is_pixel[None, :])


def filter_and_mix(
    pairs: Float[Tensor, "b ih h w"],
    mixing: Float[Tensor, "f 2 o i s"],
    plan: Plan,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Float[Tensor, "b f2 o h2 w2"]:
    """Pairs of planes of the output in Fourier space, from contiguous ones of the input; in float32, on the device."""
    batch, _, height, width = pairs.shape
    half, _, outputs, inputs, slots = mixing.shape
    side = plan.filters.shape[-1]
    size = [(n + 2 * p - side) // step + 1 for n, p, step in zip((height, width), padding, stride, strict=True)]
    y = pairs.new_empty(batch, 2 * half, outputs, *size)
    fields = min(_FIELDS, max(_LEAST, triton.next_power_of_2(outputs)))
    grid = triton.cdiv(size[0] * size[1], _PIXELS), triton.cdiv(outputs, fields), batch * half
    launch: Any = _filter_and_mix[grid]
    if y.numel():
        launch(
            pairs, plan.filters, plan.pairs, mixing.contiguous(), y, inputs, outputs, height, width, *size, *stride,
            *padding, half, side, slots, max(_LEAST, triton.next_power_of_2(slots)), fields, _PIXELS,
            "tf32" if torch.backends.cudnn.allow_tf32 else "ieee",
        )  # fmt: skip
    return y
