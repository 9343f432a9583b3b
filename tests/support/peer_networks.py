"""Networks of escnn and e2cnn, written as their manuals do, for tests and recordings; nothing of orbitconv is used."""

import importlib
from typing import Any

import torch
from torch import Tensor, nn

SIDE = 20
FIRST = 6
"""So many layers end on the group, with three regular fields."""

# One mirror axis a process: e2cnn 0.2.3 gives a second one the kernels of the first.
SPACES: dict[str, dict[str, Any]] = {
    "escnn": {
        "c4": lambda g: g.rot2dOnR2(4),
        "c8": lambda g: g.rot2dOnR2(8),
        "d4": lambda g: g.flipRot2dOnR2(4),
        "d4-axis-0": lambda g: g.flipRot2dOnR2(4, axis=0.0),
        "d8": lambda g: g.flipRot2dOnR2(8),
        "d1": lambda g: g.flip2dOnR2(),
    },
    "e2cnn": {
        "c4": lambda g: g.Rot2dOnR2(4),
        "c8": lambda g: g.Rot2dOnR2(8),
        "d4": lambda g: g.FlipRot2dOnR2(4),
        "d4-axis-0": lambda g: g.FlipRot2dOnR2(4, axis=0.0),
        "d8": lambda g: g.FlipRot2dOnR2(8),
        "d1": lambda g: g.Flip2dOnR2(),
    },
}  # fmt: skip


def build(library: str, name: str) -> tuple[nn.Module, nn.Module]:
    """A body of their layers, from three trivial fields to planar features, and a head of torch's."""
    gspaces, layers = (importlib.import_module(f"{library}.{part}") for part in ("gspaces", "nn"))
    space = SPACES[library][name](gspaces)

    def fields(count, kind):
        return layers.FieldType(space, count * [kind])

    image, few, some = fields(3, space.trivial_repr), fields(2, space.regular_repr), fields(3, space.regular_repr)
    planes, last = fields(3, space.trivial_repr), fields(6, space.trivial_repr)
    body = layers.SequentialModule(
        layers.MaskModule(image, SIDE, margin=1), layers.R2Conv(image, few, kernel_size=5, padding=2, bias=False),
        layers.InnerBatchNorm(few), layers.ReLU(few, inplace=True),
        layers.PointwiseMaxPoolAntialiased(few, kernel_size=3, stride=2, padding=1),
        layers.R2Conv(few, some, kernel_size=3, padding=1), layers.InnerBatchNorm(some), layers.ELU(some),
        layers.PointwiseAvgPoolAntialiased(some, sigma=0.66, stride=2),
        layers.R2Conv(some, some, kernel_size=3, padding=1, groups=3, padding_mode="circular"),
        layers.PointwiseDropout(some, 0.1), layers.FieldDropout(some, 0.1),
        layers.PointwiseNonLinearity(some, "p_tanh"), layers.PointwiseMaxPool(some, kernel_size=2, stride=1),
        layers.R2Conv(some, few, kernel_size=1), layers.PointwiseAvgPool(few, kernel_size=2, stride=1),
        layers.ReLU(few), layers.R2Conv(few, some, kernel_size=3, dilation=2, padding=2), layers.GroupPooling(some),
        layers.R2Conv(planes, last, kernel_size=3, padding=1), layers.InnerBatchNorm(last), layers.ReLU(last),
        layers.PointwiseAdaptiveAvgPool(last, 1),
    )  # fmt: skip
    return body, nn.Sequential(nn.Flatten(), nn.Linear(6, 4))


def run(body: Any, head: nn.Module, images: Tensor) -> Tensor:
    """Their outputs."""
    layers = importlib.import_module(f"{type(body).__module__.partition('.')[0]}.nn")
    return head(body(layers.GeometricTensor(images, body.in_type)).tensor)


def run_first(body: Any, images: Tensor) -> Tensor:
    """What their first layers give, in their order of planes."""
    layers = importlib.import_module(f"{type(body).__module__.partition('.')[0]}.nn")
    x = layers.GeometricTensor(images, body.in_type)
    for layer in list(body.children())[:FIRST]:
        x = layer(x)
    return x.tensor


def train(body: nn.Module, head: nn.Module, steps: int = 5) -> None:
    """A few steps on noise, so that every weight and statistic is one of training; then evaluation mode."""
    parameters = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], lr=0.02)
    for part in (body, head):
        part.train()
    for _ in range(steps):
        loss = nn.functional.cross_entropy(run(body, head, torch.randn(8, 3, SIDE, SIDE)), torch.randint(4, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for part in (body, head):
        part.eval()
