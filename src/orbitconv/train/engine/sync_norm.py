"""Batch norm whose statistics run over the batches of all processes, on CPUs and GPUs alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from orbitconv.nn.conv import is_channels_last
from orbitconv.nn.norm import follow_statistics


@contextmanager
def synchronized(network: nn.Module) -> Iterator[None]:
    """Synchronize every batch norm of a network over all processes within the context.

    torch's own SyncBatchNorm works on GPUs only, and replaces the modules; here they stay what they are, subclasses
    such as `orbitconv.nn.GroupBatchNorm2d` included.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.__dict__["forward"] = partial(_forward, norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.__dict__["forward"]  # what the class has is there again


def _forward(norm: _BatchNorm, x: Float[Tensor, "b c *rest"]) -> Float[Tensor, "b c *rest"]:
    """What `norm` does, with the mean and the variance of all processes' batches."""
    if not norm.training:
        return type(norm).forward(norm, x)
    norm._check_input_dim(x)  # noqa: SLF001
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    values = x.float() if x.dtype in {torch.float16, torch.bfloat16} else x
    is_last = x.ndim > 3 and x.device.type == "cpu" and is_channels_last(x.flatten(1, -3))
    values = values.contiguous() if is_last else values  # torch adds up channels-last numbers with an error that shows
    own_count = values.new_tensor([x.numel() / x.shape[1]])
    total = _SumOverProcesses.apply(torch.cat([values.sum(axes), own_count]))
    count = total[-1].detach()
    mean = total[:-1] / count
    centred = values - mean.reshape(shape)
    variance = _SumOverProcesses.apply(centred.square().sum(axes)) / count
    if norm.track_running_stats:
        follow_statistics(norm, mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    result = centred * scale.reshape(shape)
    if norm.bias is not None:
        result = result + norm.bias.reshape(shape)
    if is_last:
        result = result.flatten(1, -3).contiguous(memory_format=torch.channels_last).unflatten(1, x.shape[1:-2])
    return result.to(x.dtype)


class _SumOverProcesses(torch.autograd.Function):
    """A sum over processes; what flows back to each is the sum of what reaches all of them."""

    @staticmethod
    def forward(ctx: Any, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:  # noqa: ARG004
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, " n"]) -> Float[Tensor, " n"]:  # noqa: ARG004
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
