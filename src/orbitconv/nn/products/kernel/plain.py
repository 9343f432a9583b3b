"""Which tensors compiled code can read."""

from collections.abc import Collection

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # pyright: ignore[reportMissingModuleSource]
from torch.autograd import forward_ad

_KINDS = (Tensor, torch.nn.Parameter)


def is_plain(*tensors: Tensor, dtypes: Collection[torch.dtype] = (torch.float32,)) -> bool:
    """Whether tensors are numbers on the CPU that `torch.func` and forward-mode derivatives do not wrap."""
    if torch._C._len_torch_dispatch_stack():  # noqa: SLF001  # something wants to see every operation
        return False
    is_forward = forward_ad._current_level >= 0  # noqa: SLF001
    for t in tensors:
        if type(t) not in _KINDS or not t.is_cpu or t.dtype not in dtypes or is_functorch_wrapped_tensor(t):
            return False
        if is_forward and forward_ad.unpack_dual(t).tangent is not None:
            return False
    return True


def storage_of(planes: Tensor) -> torch.dtype:
    """The dtype in which a layer on the CPU returns planes: theirs, or that of autocast."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else planes.dtype
