"""Sums over the processes of `torch.distributed`."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


def sum_over_processes(
    owner: str,
    settings: str,
    values: Float[Tensor, " n"],
    process_group: "dist.ProcessGroup | None" = None,
    *,
    is_total: bool = False,
) -> Float[Tensor, " n"]:
    """Sum a tensor over processes, after checking that they agree on its meaning.

    Every process of the group must call this. The settings, words that say what the values are, travel first, so that
    processes that disagree refuse together and none waits for the others. Shape and dtype must be the same wherever the
    settings are. Values that are sums over processes already (`is_total`) are refused: they would count twice. Without
    `torch.distributed` this process is alone.
    """
    if dist.is_available() and dist.is_initialized():
        _check_alike(owner, settings + (", already summed over processes" if is_total else ""), process_group)
    if is_total:
        raise ValueError(
            f"{owner}.all_reduce expects the moments of one process, got sums over processes: they would count twice. "
            "Keep the moments of each process, update those, and sum them anew."
        )
    if not (dist.is_available() and dist.is_initialized()):
        return values.clone()
    total = values.to(_meeting_place(process_group), copy=True)
    dist.all_reduce(total, group=process_group)
    return total.to(values.device)


def _check_alike(owner: str, settings: str, process_group: "dist.ProcessGroup | None") -> None:
    """Refuse processes that disagree, on all of them."""
    if dist.get_rank(process_group) < 0:
        raise ValueError(
            f"{owner} expects a process of the process group, got process {dist.get_rank()}, which is none of it. Call "
            "all_reduce on the processes of the group only."
        )
    told: list[str] = [""] * dist.get_world_size(process_group)
    dist.all_gather_object(told, settings, group=process_group)
    if len(set(told)) > 1:
        each = "; ".join(
            f"{said} on {', '.join(str(rank) for rank, other in enumerate(told) if other == said)}"
            for said in dict.fromkeys(told)
        )
        raise ValueError(f"{owner} can be summed over processes for the same settings only, got {each}.")


def _meeting_place(process_group: "dist.ProcessGroup | None") -> torch.device:
    """A device whose tensors the processes can exchange: the CPU where they can, as for gloo, but not for nccl."""
    if "cpu:" in dist.get_backend_config(process_group):
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None:
        raise RuntimeError(
            f"The backend {dist.get_backend(process_group)} needs an accelerator, and torch sees none here. Initialise "
            "the process group with gloo."
        )
    return torch.device(accelerator.type, torch.accelerator.current_device_index())
