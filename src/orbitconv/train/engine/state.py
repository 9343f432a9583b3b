"""The state of a training, as a checkpoint holds it."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from orbitconv.train.engine.optimizer import make_optimizer, make_schedule
from orbitconv.train.settings import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Weights = dict[str, Tensor]


class TrainingState:
    """A network, its optimizer and schedule, the average of its weights, and the best weights so far.

    Fabric scales gradients where the precision needs it.
    """

    def __init__(self, network: nn.Module, config: Training, total_steps: int, fabric: "Fabric") -> None:
        self.network, self._fabric = network, fabric
        self.optimizer = make_optimizer(network.parameters(), config)
        self.schedule = make_schedule(self.optimizer, config, total_steps)
        # Averages parameters, and copies buffers: running statistics are averages already.
        average = None if config.average is None else get_ema_multi_avg_fn(config.average)
        self.averaged = None if average is None else AveragedModel(network, multi_avg_fn=average)
        self.step = 0
        self.best_error, self._best = float("inf"), Weights()

    @property
    def tested(self) -> nn.Module:
        """The network that is tested and saved: with averaged weights if there are any."""
        return self.network if self.averaged is None else self.averaged.module

    @property
    def best(self) -> Weights | None:
        """The weights with the smallest error so far, if there was any."""
        return self._best or None

    def advance(self) -> None:
        """Update the schedule and the average after a step of the optimizer."""
        self.schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        self.step += 1

    def remember(self, error: float) -> None:
        """Store the current weights if their error is the smallest so far."""
        if error < self.best_error:
            self.best_error, self._best = error, weights_of(self.tested)

    def weights(self) -> Weights:
        """All tensors of networks, on the CPU."""
        for name, parameter in self.network.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise FloatingPointError(
                    f"The weights {name} contain NaN or inf after step {self.step}; no checkpoint was written. Lower "
                    "the learning rate."
                )
        parts = {"network": weights_of(self.network), "best": self._best}
        if self.averaged is not None:
            parts["averaged"] = weights_of(self.averaged)
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def rest(self) -> dict[str, Any]:
        """The rest of the state: numbers, and tensors of the optimizer."""
        return {
            "step": self.step,
            "best_error": self.best_error,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._fabric.strategy.precision.state_dict(),
        }

    def restore(self, weights: Weights, rest: dict[str, Any]) -> None:
        """Resume from a checkpoint."""
        parts: dict[str, Weights] = {"network": {}, "best": {}, "averaged": {}}
        for name, tensor in weights.items():
            part, _, inner = name.partition(".")
            parts[part][inner] = tensor
        try:
            self.network.load_state_dict(parts["network"])
            if self.averaged is not None:
                self.averaged.load_state_dict(parts["averaged"])
            self.optimizer.load_state_dict(rest["optimizer"])
            self.schedule.load_state_dict(rest["schedule"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise ValueError(
                f"The checkpoint is of another network or optimizer: {_short(error)}. Use the settings it was made "
                "with, or start again in another folder."
            ) from error
        if rest["scaler"]:
            self._fabric.strategy.precision.load_state_dict(rest["scaler"])
        self.step, self.best_error, self._best = rest["step"], rest["best_error"], parts["best"]


def weights_of(network: nn.Module) -> Weights:
    """Copies of all weights and buffers, on the CPU; none share memory."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in network.state_dict().items()}


def tested_weights(weights: Weights) -> Weights:
    """What is tested and kept of a checkpoint: the average of the weights where there is one."""
    part = "averaged.module." if any(name.startswith("averaged.") for name in weights) else "network."
    return {name.removeprefix(part): tensor for name, tensor in weights.items() if name.startswith(part)}


def _short(error: Exception) -> str:
    """The first line of a long error message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]).rstrip(".")
