"""A participant of a comparison."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Contender:
    """A module at work: one step of it, what it works on, images of a step, error beside float64 if known, a note."""

    module: nn.Module
    work: Callable[[], object]
    inputs: tuple[Tensor, ...]
    images: int
    error: float | None = None
    note: str = ""

    def step(self) -> None:
        """Run one step; gradients of the last step are dropped first, as in a training loop."""
        self.forget()
        self.work()

    def forget(self) -> None:
        """Drop all gradients."""
        for leaf in (*self.module.parameters(), *self.inputs):
            leaf.grad = None

    def resident(self) -> list[Tensor]:
        """Tensors in memory before a step."""
        return [*self.inputs, *self.module.parameters(), *self.module.buffers()]
