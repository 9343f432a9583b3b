"""Compiled code for group layers on CPUs: built once on a machine, used from then on. Everything works without it.

`fused.cpp` is the whole product of a `GroupConv2d` on 4, 8, 12 or 16 rotations, with mirrors or without, with a
steerable basis (spectral, harmonic, unitary), 3x3 to 7x7, stride 1 or 2, in float32 or bfloat16: it filters first, in
Fourier space, one tile of pixels at a time in cache. Layers take it where it is expected to be faster than a
convolution (`layer.py`).

`expansion.cpp` makes the filters of every other group layer in float32 or float64, but not for planes that are channels
last, for 1x1 kernels, or in compiled networks. It takes 0.3 to 0.85 of the time that torch takes.
"""

from orbitconv.nn.products.kernel.building import build as build
from orbitconv.nn.products.kernel.building import remove as remove
from orbitconv.nn.products.kernel.library import is_built as is_built
from orbitconv.nn.products.kernel.library import switched_off as switched_off
