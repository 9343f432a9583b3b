"""What networks do to planes between convolutions, compiled: pool, blur and upsample by two, without gradients.

Each function computes a layer; where it is not offered, the layer uses operations of torch.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.kernel.library import is_built, library
from orbitconv.nn.products.kernel.plain import is_plain
from orbitconv.nn.products.recompute import is_recorded

_ALONE = 100_000
"""Numbers for which one thread is enough."""


def is_offered(planes: Float[Tensor, "b c h w"]) -> bool:
    """Whether the compiled functions take planes: contiguous, in float32 on the CPU, and no gradient is wanted."""
    return (
        not is_recorded()
        and is_plain(planes)
        and not (planes.requires_grad and torch.is_grad_enabled())
        and planes.is_contiguous()
        and planes.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and is_built()
    )


def max_pool(planes: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Maximum over 2x2 windows, as `torch.nn.functional.max_pool2d` takes it."""
    return _run("max_pool", planes, planes.shape[-2:], (planes.shape[-2] // 2, planes.shape[-1] // 2))


def blur_pool(planes: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """What `orbitconv.nn.BlurPool2d` does, for planes of 3x3 pixels or more for which `is_offered` is true."""
    return _run("blur_pool", planes, planes.shape[-2:], ((planes.shape[-2] + 1) // 2, (planes.shape[-1] + 1) // 2))


def upsample(planes: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """What `orbitconv.nn.upsample_to` does."""
    return _run("upsample", planes, size, size)


def _run(name: str, planes: Tensor, larger: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """Call a function, which is told the height and width of the larger planes."""
    y = planes.new_empty(*planes.shape[:2], *size)
    threads = torch.get_num_threads() if max(planes.numel(), y.numel()) > _ALONE else 1
    getattr(library(), name)(planes.data_ptr(), y.data_ptr(), planes.shape[:2].numel(), *larger, threads)
    return y
