"""The work of each task on a subject, and its expected result."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from studies.speed.cases import Case, Task
from studies.speed.checks import relative_error
from studies.speed.subjects import Setting, Subject


@dataclass(frozen=True, eq=False)
class Work:
    """A subject at work on fixed random feature maps."""

    case: Case
    subject: Subject
    planes: Float[Tensor, "b c h w"]
    gradient: Float[Tensor, "..."]

    def step(self) -> Float[Tensor, "..."]:
        """Run one step."""
        return _STEPS[self.case.task](self)

    def forget_gradients(self) -> None:
        """Drop the gradients of earlier steps, as an optimiser does with `zero_grad`."""
        for leaf in (*self.subject.weights, self.planes):
            leaf.grad = None

    def resident(self) -> Iterator[Tensor]:
        """Tensors in memory before a step."""
        yield self.planes
        yield from self.subject.module.parameters()
        yield from self.subject.module.buffers()

    def error(self) -> float:
        """Run one step, and compare outputs and gradients with convolutions in float64."""
        self.forget_gradients()
        output = self.step()
        leaves = (*self.subject.weights, self.planes)
        *weights, planes = references = [leaf.detach().double().requires_grad_() for leaf in leaves]
        expected = self.subject.reference(*weights)
        if self.case.task != "expansion":
            expected = F.conv2d(planes, expected, padding=self.case.kernel // 2)
        errors = [relative_error(output.detach(), expected.detach())]
        if self.case.task in _BACKWARD and self.subject.learns:
            if expected.requires_grad:
                expected.backward(self.gradient.double())
            for leaf, reference in zip(leaves, references, strict=True):
                if reference.grad is not None:
                    assert leaf.grad is not None
                    errors.append(relative_error(leaf.grad, reference.grad))
        self.forget_gradients()
        return max(errors)


def prepare(case: Case, subject: Subject, setting: Setting) -> Work:
    """Put a subject to work; every subject of a case gets the same input."""
    draw = torch.Generator().manual_seed(setting.seed)
    shape = (case.batch, case.channels, case.size, case.size)
    kernel = (case.channels, case.channels, case.kernel, case.kernel)
    planes, gradient = (
        torch.randn(s, generator=draw).to(setting.device, setting.dtype)
        for s in (shape, kernel if case.task == "expansion" else shape)
    )
    with torch.no_grad():  # the peers expand their filters here for inference, and keep them
        subject.module.train(case.task != "inference")
    return Work(case, subject, planes.requires_grad_(case.task != "inference"), gradient)


def _expand(work: Work) -> Tensor:
    """Weight from coefficients and back: forward and backward of the expansion alone."""
    work.forget_gradients()
    if work.subject.expand is None:
        raise ValueError(f"{type(work.subject.module).__name__} never makes the weight that {work.case.name} is about.")
    weight = work.subject.expand()
    if work.subject.learns:
        weight.backward(work.gradient)
    return weight


def _forward(work: Work) -> Tensor:
    return work.subject.run(work.planes)


def _infer(work: Work) -> Tensor:
    with torch.inference_mode():
        return work.subject.run(work.planes)


def _train(work: Work) -> Tensor:
    """Forward and backward, to the weights and to the input, as inside a network."""
    work.forget_gradients()
    output = work.subject.run(work.planes)
    output.backward(work.gradient)
    return output


_STEPS: Mapping[Task, Callable[[Work], Tensor]] = {
    "expansion": _expand, "forward": _forward, "training": _train, "inference": _infer, "memory": _train,
}  # fmt: skip
_BACKWARD = ("expansion", "training", "memory")
