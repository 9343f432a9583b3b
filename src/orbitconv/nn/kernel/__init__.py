"""The expansion of filters as compiled code, for CPUs: built once on a machine, used by every layer from then on.

Everything works without it. With it, filters of group layers are made and taken back in about half the time, which
shows where maps are small and calls count, and where filters are many.
"""

from orbitconv.nn.kernel.building import build as build
from orbitconv.nn.kernel.building import remove as remove
from orbitconv.nn.kernel.library import is_built as is_built
from orbitconv.nn.kernel.library import switched_off as switched_off
