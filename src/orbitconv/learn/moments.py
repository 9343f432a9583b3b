"""Second moments of images and their turned copies: all that a filter basis needs to know about data.

For one group element g let X hold the patches of the turned image and Y the turned response maps of the one-pixel
filters, both at the points of the disc that every rotation keeps in view. Then

    Q_g = X^T X,    C_g = X^T Y,    S_g = Y^T Y

give the equivariance error of any filter pair (psi_g, psi_0): the mean square of `X psi_g - Y psi_0`. They are sums
over images, so they need one pass and constant memory, and they add up over batches, processes and machines.
"""

import itertools
import math
from collections.abc import Iterable

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import Size2, check_finite
from orbitconv._support.precision import without_autocast
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.groups import Group
from orbitconv.groups.spline import sample_spline, spline_coefficients
from orbitconv.learn.patch_sums import PatchSums
from orbitconv.learn.processes import sum_over_processes
from orbitconv.learn.whitening import whiten_images

# Bytes that one step, over some images and some points, may take for its patches.
_WORKING_MEMORY = 2**26


class Moments(PatchSums):
    """Running sums of second moments; feed it batches of images with `update`.

    Only the few elements that no exact move of the grid can supply are measured (0 and 1 for C8); `Q`, `C` and `S`
    complete the rest exactly.

    Args:
        group: The group.
        kernel_size: Height and width of the filters, in pixels.
        order: Order of the spline that turns the images: 3 or 5.
        standardize: Give every image zero mean and unit variance, so that each counts alike and contrast does not.
        whiten: Whiten the images first, so that all spatial frequencies count alike (see `whiten_images`).
        device: Where the sums live and the work is done.

    Attributes:
        num_images: Images added so far; every channel counts as one.
        num_points: Patches added so far.
        num_constant: Images left out, as they had no contrast to standardize.
        is_total: Whether these are sums over processes, from `all_reduce`.

    Raises:
        ValueError: If a size is below one.
    """

    def __init__(
        self,
        group: Group,
        kernel_size: Size2,
        *,
        order: int = 3,
        standardize: bool = True,
        whiten: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(group, kernel_size, device)
        self.order, self.standardize, self.whiten = order, standardize, whiten
        self.is_total = False

    @without_autocast
    def update(self, images: Float[Tensor, "b c h w"]) -> "Moments":
        """Add a batch of images; every channel counts as a grey image.

        Images without contrast cannot be standardized and are left out. Batches may differ in size, and may be empty,
        but images must leave room for the disc.

        Raises:
            TypeError: If the images are not floating point.
            ValueError: If the rank is wrong, a value is not finite, or the images are too small.
        """
        images = self._prepare(images)
        height, width = images.shape[-2:]
        points, offsets = _disc_points(height, width, self.kernel_size), _offsets(self.kernel_size)
        if not points.shape[1]:
            raise ValueError(
                f"Moments expects images of {room_for(self.kernel_size)} for a kernel of {self.kernel_size}, so "
                f"that every turned patch stays in view, got images of {height}x{width}. Use larger images or a "
                "smaller kernel."
            )
        if not len(images):
            return self
        at_once, images_at_once = self._step(points.shape[1], images.element_size())
        for chunk in images.split(images_at_once):
            coefficients = spline_coefficients(chunk, self.order)
            for (slot, g), some in itertools.product(enumerate(self.measured), points.split(at_once, dim=1)):
                inverse = torch.as_tensor(self.group.matrix(g).T.copy())
                # Patch of the turned image at t: f(g^-1 (t + x)). Turned response map of pixel x: f(g^-1 t + x). They
                # are the same samples at the identity.
                y = self._sample(coefficients, ((inverse @ some)[:, None] + offsets[:, :, None]).flatten(1))
                x = (
                    y
                    if g == 0
                    else self._sample(coefficients, inverse @ (some[:, None] + offsets[:, :, None]).flatten(1))
                )
                for row, (a, b) in enumerate(((x, x), (x, y), (y, y))):
                    self.sums[row, slot] += a @ b.T
        self.num_images += len(images)
        self.num_points += len(images) * points.shape[1]
        return self

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both streams together."""
        if self._settings != other._settings:
            raise ValueError(
                f"Moments can be added for the same settings only, got {self._settings} and {other._settings}."
            )
        total = self._replace_sums(self.sums + other.sums.to(self.sums.device))
        total.num_images = self.num_images + other.num_images
        total.num_points = self.num_points + other.num_points
        total.num_constant = self.num_constant + other.num_constant
        total.is_total = self.is_total or other.is_total
        return total

    def all_reduce(self, process_group: "dist.ProcessGroup | None" = None) -> "Moments":
        """Moments of the images of all processes together, to the same bits on each; these stay what they are.

        Every process measures its share of the images, none or many, and all call this. With Lightning Fabric, on
        CPUs, GPUs or several machines:

            moments = Moments(Cyclic(8), 5, device=fabric.device)
            moments.update(images[fabric.global_rank :: fabric.world_size])
            basis = SpectralBasis(Cyclic(8), 5, moments.all_reduce(), dimension=11)

        Args:
            process_group: Processes of `torch.distributed`; by default all. A process on its own gets a copy.

        Returns:
            New moments, on the device of these.

        Raises:
            ValueError: If the processes do not describe the same thing, or hold sums over processes already, which
                would count twice. All of them raise, and none is left waiting.
        """
        counts = torch.tensor([self.num_images, self.num_points, self.num_constant]).to(self.sums)
        values = torch.cat([self.sums.flatten(), counts])
        summed = sum_over_processes("Moments", self._settings, values, process_group, is_total=self.is_total)
        total = self._replace_sums(summed[:-3].reshape(self.sums.shape))
        total.num_images, total.num_points, total.num_constant = (int(count) for count in summed[-3:])
        total.is_total = True
        return total

    @property
    def _settings(self) -> str:
        """All that moments must have in common to be added."""
        height, width = self.kernel_size
        return (
            f"{self.group}, kernel_size={height}x{width}, order={self.order}, standardize={self.standardize}, "
            f"whiten={self.whiten}"
        )

    def _replace_sums(self, sums: Float[Tensor, "3 m p p"]) -> "Moments":
        """Moments of the same settings with other sums, and no counts yet."""
        moments = Moments(
            self.group,
            self.kernel_size,
            order=self.order,
            standardize=self.standardize,
            whiten=self.whiten,
            device=sums.device,
        )
        moments.sums = sums
        return moments

    def _prepare(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "n 1 h w"]:
        """Check a batch, make its channels grey images, standardize them."""
        if images.ndim != 4:
            raise ValueError(
                f"Moments expects images of shape (batch, channels, height, width), got {tuple(images.shape)}."
            )
        if not images.is_floating_point():
            raise TypeError(f"Moments expects floating-point images, got {images.dtype}. Divide them by 255 first.")
        check_finite("Moments", "images", images)
        images = images.detach().to(self.sums.device).flatten(0, 1)[:, None]
        images = images if images.dtype == torch.float64 else images.float()
        if self.standardize:
            constant = _spread(images) <= 1e-6 * images.abs().amax((-2, -1), keepdim=True)  # but for rounding
            self.num_constant += int(constant.sum())
            images = images[~constant.flatten()]
        if self.whiten:
            images = whiten_images(images)
        return (images - images.mean((-2, -1), keepdim=True)) / _spread(images) if self.standardize else images

    def _step(self, num_points: int, element_size: int) -> tuple[int, int]:
        """How many points, of how many images, fit the working memory at once."""
        pixels = math.prod(self.kernel_size)
        # Each sample has its taps, shared by all images: an index and a weight each, and what making them takes.
        taps = 4 * (self.order + 1) ** 2 * (8 + element_size) * pixels
        at_once = max(1, min(num_points, _WORKING_MEMORY // (2 * taps)))
        # In each image it has its value, on the way to float64, and the two matrices it ends in.
        values = (2 * element_size + 2 * 8) * pixels * at_once
        return at_once, max(1, (_WORKING_MEMORY - taps * at_once) // values)

    def _sample(self, coefficients: Float[Tensor, "b 1 h w"], at: Float[Tensor, "2 t"]) -> Float[Tensor, "p n"]:
        """Values of all images at points given from the centre, one row for each pixel of the kernel."""
        height, width = coefficients.shape[-2:]
        rows, cols = at.to(coefficients)
        values = sample_spline(coefficients, rows[None] + (height - 1) / 2, cols[None] + (width - 1) / 2, self.order)
        pixels = math.prod(self.kernel_size)
        # Errors are small differences of these sums: sum in float64, whatever the images are.
        return values.reshape(len(coefficients), pixels, -1).transpose(0, 1).flatten(1).to(self.sums)


@without_autocast
def measure_moments(
    images: Float[Tensor, "b c h w"] | Iterable[Float[Tensor, "b c h w"]],
    group: Group,
    kernel_size: Size2,
    *,
    order: int = 3,
    standardize: bool = True,
    whiten: bool = False,
    progress: ProgressCallback = silent,
) -> Moments:
    """Measure the second moments of images in one pass.

    Args:
        images: One batch of images, or any iterable of batches.
        group: The group.
        kernel_size: Height and width of the filters, in pixels.
        order: Order of the spline that turns the images: 3 or 5.
        standardize: Give every image zero mean and unit variance.
        whiten: Whiten the images first, so that all spatial frequencies count alike.
        progress: Called after every batch with the number of images so far; how many will come is unknown (0).

    Returns:
        The moments, on the device of the first batch.

    Raises:
        ValueError: If there are no images, or only constant ones, or fewer patches than twice the pixels of a filter.
    """
    batches = [images] if isinstance(images, Tensor) else images
    moments: Moments | None = None
    for batch in batches:
        if moments is None:
            moments = Moments(
                group, kernel_size, order=order, standardize=standardize, whiten=whiten, device=batch.device
            )
        moments.update(batch)
        progress("measure moments", moments.num_images, 0)
    if moments is None:
        raise ValueError("measure_moments expects at least one batch of images, got an empty iterable.")
    if not moments.num_images and moments.num_constant:
        raise ValueError(moments.nothing())
    pixels = math.prod(moments.kernel_size)
    if moments.num_points < 2 * pixels:
        raise ValueError(
            f"measure_moments expects at least {2 * pixels} patches to tell {pixels} pixels apart, got "
            f"{moments.num_points} from {moments.num_images} images. Use more or larger images."
        )
    return moments


def has_room(height: int, width: int, kernel_size: tuple[int, int]) -> bool:
    """Whether an image holds a patch that every rotation keeps in view."""
    return _disc_points(height, width, kernel_size).shape[1] > 0


def room_for(kernel_size: tuple[int, int]) -> str:
    """The side from which on any image holds a patch that every rotation keeps in view, and the smallest square image.

    A patch in the very centre needs the least room. Where sides of the image and the kernel are not both odd or both
    even none is in the centre: 7x7 images have room for a 5x5 kernel, 8x8 images do not.
    """
    always = math.ceil(2 * (math.hypot(*((k - 1) / 2 for k in kernel_size)) + math.hypot(0.5, 0.5)) + 1)
    # That is for a patch half a pixel off the centre both ways; rounding up may have left more room than it needs.
    while always > 1 and all(
        has_room(height, width, kernel_size) for height, width in itertools.product((always - 1, always), repeat=2)
    ):
        always -= 1
    smallest = next(n for n in range(1, always + 1) if has_room(n, n, kernel_size))
    return f"at least {always} pixels a side" + (f", or {smallest}x{smallest} pixels" if smallest < always else "")


def _offsets(kernel_size: tuple[int, int]) -> Float[Tensor, "2 p"]:
    """Pixels of a filter, as (row, column) from its centre."""
    height, width = kernel_size
    rows = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    cols = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    return torch.stack(torch.meshgrid(rows, cols, indexing="ij")).flatten(1)


def _disc_points(height: int, width: int, kernel_size: tuple[int, int]) -> Float[Tensor, "2 t"]:
    """Centres of filters, from the centre of the image, whose pixels every rotation keeps inside the image."""
    centres = _offsets((max(height - kernel_size[0] + 1, 0), max(width - kernel_size[1] + 1, 0)))
    reach = math.hypot((kernel_size[0] - 1) / 2, (kernel_size[1] - 1) / 2)
    inside = torch.hypot(*centres) + reach <= (min(height, width) - 1) / 2 + 1e-9
    return centres[:, inside]


def _spread(images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 1 1"]:
    """Standard deviation of each image."""
    return (images - images.mean((-2, -1), keepdim=True)).square().mean((-2, -1), keepdim=True).sqrt()
