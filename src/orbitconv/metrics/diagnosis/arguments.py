"""What a network is called with: one tensor, or arguments by place or by name, of which the images turn."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from orbitconv.groups import Group, act_image
from orbitconv.nn.folding.known_values import Example


def is_images(value: Any) -> bool:
    """Whether an argument is a batch of images: a floating-point tensor of rank 4."""
    return isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point()


def images_in(value: Any) -> list[Tensor]:
    """The batches of images among arguments."""
    if isinstance(value, Mapping):
        return [x for one in value.values() for x in images_in(one)]
    if isinstance(value, tuple | list):
        return [x for one in value for x in images_in(one)]
    return [value] if is_images(value) else []


def with_images(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Arguments of the same structure with other images; what is no batch of images stays as it is."""
    if isinstance(value, Mapping):
        return {key: with_images(one, change) for key, one in value.items()}
    if isinstance(value, tuple | list):
        parts = [with_images(one, change) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return change(value) if is_images(value) else value


def turned(example: Example, group: Group, g: int) -> Any:
    """Arguments with every batch of images transformed by one group element."""
    return with_images(example, lambda images: act_image(images, group, g))
