"""Refining a basis through a network: the equivariance error of its last feature map, and only the basis moves."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from orbitconv._support.checks import check_finite, check_positive
from orbitconv._support.precision import without_autocast
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases.filter_basis import FilterBasis
from orbitconv.bases.learned import LearnedBasis
from orbitconv.groups import Group, act_features
from orbitconv.learn.gradient.losses import central, orthogonality_loss
from orbitconv.learn.gradient.rotators import Rotator, image_rotator
from orbitconv.nn.conv import BasisConv2d


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How to fine-tune a basis through a network."""

    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    batch_size: int = 32
    """Images in each step."""
    steps: int = 200
    """Steps to take."""
    orthogonality_weight: float = 1.0
    """Weight of the orthogonality loss (mean squares) of bases that are not orthonormal by parametrization."""
    rotator: Rotator = "cubic"
    """How images turn; feature maps are turned by a cubic spline."""
    sigma: float = 0.4
    """Width of the Gaussian rotator, in pixels."""
    seed: int = 0
    """Seed of the batches and the group elements."""


@without_autocast
def fine_tune_basis(
    network: nn.Module,
    images: Float[Tensor, "n c h w"],
    group: Group,
    config: FineTuning | None = None,
    *,
    progress: ProgressCallback = silent,
) -> list[float]:
    """Lower the equivariance error of a network's last feature map on the group, by changing its learned bases only.

    The loss is `||f(T_g x) - T'_g f(x)||^2 / ||T'_g f(x)||^2` over the central region, g random in every step.
    Coefficients, biases, normalization statistics and the training mode of the network stay as they are, and so do
    their gradients. Quarter turns are exact no longer afterwards; `LearnedBasis.average()` makes them so again.

    Args:
        network: Network with layers on one or more `LearnedBasis`; they are changed in place.
        images: Images as the network takes them, on its device.
        group: The group of the network.
        config: How to train.
        progress: Called after every step.

    Returns:
        The relative equivariance error (not squared) of each step.

    Raises:
        FloatingPointError: If the loss is NaN or infinite; says at which step.
        ValueError: If there are no images, or a value is not finite; if no module of the network is a LearnedBasis,
            its group is another one, it puts out no feature map on the group, or the group has no element to turn by.

    Source: Diaconu & Worrall (2019), the variant "fine-tuning".
    """
    config = FineTuning() if config is None else config
    if not len(images):
        raise ValueError(
            f"fine_tune_basis expects one image or more, got images of shape {tuple(images.shape)}. Give it some of "
            "those the network was trained on."
        )
    check_finite("fine_tune_basis", "images", images)
    check_positive("FineTuning", batch_size=config.batch_size, steps=config.steps)
    bases = [module for module in network.modules() if isinstance(module, LearnedBasis)]
    if not bases:
        raise ValueError(
            "fine_tune_basis expects a network with a LearnedBasis, got none. Build the network on "
            "LearnedBasis.from_basis(basis), or give it one with share_learned_basis(network)."
        )
    if any(basis.group != group for basis in bases) or group.order == 1:
        raise ValueError(
            f"fine_tune_basis expects the group of the network, of two elements or more, got {group} for bases on "
            f"{', '.join(sorted({str(basis.group) for basis in bases}))}."
        )
    parameters = [p for basis in bases for p in basis.parameters()]
    optimizer = torch.optim.Adam(parameters, config.learning_rate)
    rotate = image_rotator(config.rotator, config.sigma)
    generator = torch.Generator().manual_seed(config.seed)
    was_training = [(module, module.training) for module in network.modules()]
    network.eval()
    errors: list[float] = []
    try:
        for step in range(1, config.steps + 1):
            chosen = torch.randperm(len(images), generator=generator)[: config.batch_size].to(images.device)
            g = int(torch.randint(1, group.order, (), generator=generator))
            batch = images[chosen]
            with parametrize.cached():
                expected = act_features(_last_features(network, batch, group), group, g, padding_mode="reflect")
                found = _last_features(network, rotate(batch, group, g), group)
                error = central(found - expected).square().sum() / central(expected).square().sum()
                loss = error
                for basis in bases:
                    if not basis.orthogonal:
                        loss = loss + config.orthogonality_weight * orthogonality_loss(basis(), "l2")
            if not torch.isfinite(loss):
                remedy = f"Lower the learning rate ({config.learning_rate:g})."
                if step == 1:  # nothing was learned yet
                    remedy = "The network's last feature map on the group is zero or not finite: look at its weights."
                raise FloatingPointError(f"The loss became {loss.item()} at step {step} of {config.steps}. {remedy}")
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
            optimizer.step()
            errors.append(error.item() ** 0.5)
            progress("fine-tuning the basis", step, config.steps)
    finally:
        for parameter in parameters:
            parameter.grad = None
        for module, training in was_training:
            module.training = training
    return errors


def share_learned_basis(network: nn.Module, *, orthogonal: bool = False) -> nn.Module:
    """A copy of a network whose layers share trainable bases, to refine a closed form by any loss.

    Layers whose atoms are equal get one `LearnedBasis` together, which starts at these atoms.

    Args:
        network: Network with layers on bases of any family.
        orthogonal: Keep the atoms of every element orthonormal; they start at the nearest orthonormal set.

    Returns:
        The copy. Its function is that of `network` until it is trained (with `orthogonal`, if the basis was unitary).

    Raises:
        ValueError: If the network has no layer with a basis.
    """
    shared = copy.deepcopy(network)
    layers = [module for module in shared.modules() if isinstance(module, BasisConv2d)]
    if not layers:
        raise ValueError("share_learned_basis expects a network with a lifting or group convolution, got none.")
    known: list[tuple[FilterBasis, LearnedBasis]] = []
    for layer in layers:
        before = layer.basis
        learned = next((new for old, new in known if _same(old, before)), None)
        if learned is None:
            learned = LearnedBasis.from_basis(before, orthogonal=orthogonal).to(layer.coefficients.dtype)
            known.append((before, learned))
        layer.basis = learned
    return shared


def _same(a: FilterBasis, b: FilterBasis) -> bool:
    return (a.group, a.kernel_size) == (b.group, b.kernel_size) and torch.equal(a(torch.float64), b(torch.float64))


def _last_features(network: nn.Module, images: Tensor, group: Group) -> Float[Tensor, "b c g h w"]:
    """The last feature map on the group that any layer of a network puts out."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 5 and output.shape[2] == group.order:
            found[:] = [output]

    handles = [module.register_forward_hook(keep) for module in network.modules()]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ValueError(
            f"fine_tune_basis expects a network with a feature map on {group}, of shape (batch, channels, "
            f"{group.order}, height, width); no layer put one out."
        )
    return found[0]
