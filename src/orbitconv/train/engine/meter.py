"""Loss and error of an epoch, summed over steps and processes."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Figures:
    """Figures of an epoch so far: mean loss of its steps, error in percent in training, images per second, seconds.

    Tests are not in the seconds.
    """

    loss: float
    error: float
    speed: float
    seconds: float

    def __str__(self) -> str:
        return f"loss {self.loss:.4g}, error {self.error:.3g} %, {self.speed:,.0f} images/s"


class Meter:
    """Sums over the steps of one epoch.

    Adding does not wait for the device; `settle` does, and is where processes meet. `batch_size` is that of all
    processes together.
    """

    def __init__(self, fabric: "Fabric", batch_size: int) -> None:
        self._fabric, self._batch_size = fabric, batch_size
        self._pending: list[Tensor] = []
        self.restore({"steps": 0, "loss": 0.0, "wrong": 0, "seconds": 0.0})

    def add(self, loss: Float[Tensor, ""], wrong: Tensor) -> None:
        """Count one step by this process' share of the loss, whose mean over processes is the loss of the step.

        `wrong` is how much of its images was wrong, a sum over them of numbers from 0 to 1.
        """
        self._pending.append(torch.stack([loss.detach().double(), wrong.double()]))

    def settle(self, step: int) -> list[float]:
        """Sum the steps added since the last call; a loss that is NaN or infinite is an error that names the step."""
        if not self._pending:
            return []
        table = self._fabric.all_reduce(torch.stack(self._pending), reduce_op="sum")
        assert isinstance(table, Tensor)
        table = table.cpu()
        losses = (table[:, 0] / self._fabric.world_size).tolist()
        self._pending.clear()
        for place, loss in enumerate(losses, start=step - len(losses) + 1):
            if not math.isfinite(loss):
                raise FloatingPointError(f"The loss became {loss} at step {place}.")
            self._loss += loss
        self._wrong += float(table[:, 1].sum())
        self._steps += len(losses)
        return losses

    def figures(self) -> Figures:
        """Figures of the epoch, up to the last `settle`."""
        images, seconds = self._steps * self._batch_size, self._seconds + time.perf_counter() - self._start
        return Figures(
            loss=self._loss / max(self._steps, 1),
            error=100 * self._wrong / max(images, 1),
            speed=images / max(seconds, 1e-9),
            seconds=seconds,
        )

    def state(self) -> dict[str, int | float]:
        """The sums up to the last `settle`."""
        seconds = self._seconds + time.perf_counter() - self._start
        return {"steps": self._steps, "loss": self._loss, "wrong": self._wrong, "seconds": seconds}

    def restore(self, state: dict[str, int | float]) -> None:
        """Resume from saved sums; the clock starts now."""
        self._steps, self._loss, self._wrong = int(state["steps"]), float(state["loss"]), float(state["wrong"])
        self._seconds, self._start = float(state["seconds"]), time.perf_counter()

    def begin(self) -> None:
        """Begin a new epoch."""
        self.restore({"steps": 0, "loss": 0.0, "wrong": 0, "seconds": 0.0})
