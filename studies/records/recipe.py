"""A recipe: network, images, training. A lever changes some of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from orbitconv.train import Augmentation, Training

Lever = Mapping[str, Any]
"""What a lever changes: arguments of the network by their names, and fields of the recipe, of its training and of its
augmentation by names such as "training.average"."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a network depends on, except for the seed."""

    plain_width: int
    """Channels of the first stage of the plain twin, whose parameters the network has."""
    images: int
    """Images to train on."""
    training: Training
    augmentation: Augmentation
    network: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `studies.records.networks.digits`."""
    agree: Literal["none", "scores", "features"] = "none"
    """What should agree between a training image and its rotated copy, whose label is not used."""
    weight: float = 1.0
    """Weight of that in the loss."""
    taught: int = 0
    """Channels of the plain twin of a teacher, trained by the same recipe beforehand; 0 for none."""

    def pulled(self, lever: Lever) -> "Recipe":
        """The recipe with the changes of a lever."""
        recipe, own = self, {one.name for one in fields(Recipe)}
        for name, value in lever.items():
            part, _, rest = name.partition(".")
            if rest:
                recipe = replace(recipe, **{part: replace(getattr(recipe, part), **{rest: value})})
            elif name in own:
                recipe = replace(recipe, **{name: value})
            else:
                recipe = replace(recipe, network={**recipe.network, name: value})
        return recipe

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network."""
        shown = {"show_features": True} if self.agree == "features" else {}
        return {**self.network, "plain_width": self.plain_width, **shown}
