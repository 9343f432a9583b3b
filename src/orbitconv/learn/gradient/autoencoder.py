"""The paper's training of a filter basis: free atoms, three losses, gradient descent on images.

A batch is turned by a random group element and filtered, the responses are turned on, and the result has to agree
with filtering the image turned all the way (equivariance); the image is decoded from it again (reconstruction); atoms
stay orthonormal. See `orbitconv.learn.gradient.losses`.

Source: Diaconu & Worrall (2019), section 3.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from orbitconv._support.checks import check_finite, check_positive
from orbitconv._support.precision import without_autocast
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases.learned import LearnedBasis, Start
from orbitconv.groups import Group
from orbitconv.learn.gradient.losses import Norm, draw_pair, orthogonality_loss
from orbitconv.learn.gradient.rotators import Rotator, image_rotator
from orbitconv.learn.moments import Moments, measure_moments
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.checkpoint import Checkpoint
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import RunFolder
from orbitconv.records.settings import tensor_digest


@dataclass(frozen=True, kw_only=True)
class BasisTraining:
    """How to learn a basis by gradient descent. The defaults do better than the paper's settings: `paper()`."""

    num_atoms: int | None = None
    """Number of atoms; one for each pixel if not given."""
    start: Start = "interpolated"
    """First atoms, see LearnedBasis."""
    orthogonal: bool = False
    """Keep the atoms orthonormal by parametrization rather than by loss."""
    equivariance_weight: float = 30.0
    """Weight of the equivariance loss."""
    reconstruction_weight: float = 1.0
    """Weight of the reconstruction loss."""
    orthogonality_weight: float = 1.0
    """Weight of the orthogonality loss."""
    norm: Norm = "l1"
    """Mean absolute differences (l1) or mean squares (l2), in all three losses."""
    rotator: Rotator = "cubic"
    """How images turn: gaussian, bilinear, cubic or quintic."""
    sigma: float = 0.4
    """Width of the Gaussian rotator, in pixels."""
    contrast: float | None = 0.25
    """Standard deviation every image is given, around zero mean; leave images as they are if None."""
    learning_rate: float = 2e-2
    """Learning rate of Adam, at the start."""
    decay: bool = True
    """Let the learning rate fall to zero along a cosine."""
    batch_size: int = 32
    """Images in each step; all of them see the same two group elements."""
    steps: int = 1000
    """Steps to take."""
    held_out: float = 0.1
    """Share of the images kept from training, on which progress is measured."""
    check_every: int = 50
    """Steps between two measurements of the held-out error; each one saves a checkpoint."""
    patience: int = 0
    """Measurements without a new best error after which training stops; 0 runs to the end."""
    seed: int = 0
    """Seed of the start, the held-out images, the batches and the group elements."""

    @classmethod
    def paper(cls) -> "BasisTraining":
        """The settings of the paper: L1 losses 30 : 1 : 1, a Gaussian rotator, Adam at 3e-3, batches of 100 images.

        Chosen here: images stay raw, every element starts at random, a step sees one pair of elements, 12,000 steps.

        For C8 and 3x3 on CIFAR-10 (error at 45 degrees on test images, one run each) this gives 0.29 after 3,000
        steps and 0.253 after 12,000, next to the 0.256 of Gaussian interpolation. Raw images slow it most: with
        `contrast=0.25` it gives 0.21 after 3,000 steps, though some atoms nearly vanish at some elements. With
        `start="interpolated"` it gives 0.20 and keeps all atoms, but starts at 0.22. A falling learning rate, a
        faster one, or both do not help.
        """
        return cls(
            start="random",
            rotator="gaussian",
            contrast=None,
            learning_rate=3e-3,
            decay=False,
            batch_size=100,
            steps=12_000,
        )

    def check(self) -> None:
        """Refuse invalid settings.

        Raises:
            ValueError: If a weight or the learning rate is negative or not finite, the share of held-out images is
                not between 0 and 1, or the contrast is not above zero.
        """
        owner = type(self).__name__
        check_positive(owner, batch_size=self.batch_size, steps=self.steps, check_every=self.check_every)
        weights = ("equivariance_weight", "reconstruction_weight", "orthogonality_weight", "learning_rate")
        for name in weights:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{owner} expects {name} of zero or more, got {value}.")
        if not 0 < self.held_out < 1:
            raise ValueError(f"{owner} expects held_out between 0 and 1, got {self.held_out}.")
        if self.contrast is not None and not self.contrast > 0:
            raise ValueError(f"{owner} expects contrast above zero, or None, got {self.contrast}.")
        if self.patience < 0:
            raise ValueError(f"{owner} expects patience of zero or more, got {self.patience}.")


class TrainedBasis(NamedTuple):
    """The result of training.

    Args:
        basis: The basis with the smallest held-out error met.
        held_out_error: That error, a mean over all elements but the identity.
        steps: Steps taken.
        metrics: One row for each step: step, loss and its three parts; held_out_error where it was measured.
        held_out: Second moments of the held-out images, to measure other bases on the same.
    """

    basis: LearnedBasis
    held_out_error: float
    steps: int
    metrics: list[Row]
    held_out: Moments


@runtime_checkable
class GreyImages(Protocol):
    """A set that gives its images as grey floats, such as `orbitconv.data.ImageSet`."""

    def grey(self) -> Float[Tensor, "n 1 h w"]:
        """The images."""
        ...


@without_autocast
def train_basis(
    images: Shaped[Tensor, "n c h w"] | GreyImages,
    group: Group,
    kernel_size: int,
    config: BasisTraining | None = None,
    *,
    start: LearnedBasis | None = None,
    out: Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    progress: ProgressCallback = silent,
) -> TrainedBasis:
    """Learn a basis from images by gradient descent.

    With `out`, the folder gets `config.json`, one line for each step in `metrics.jsonl`, and `checkpoints`. A run
    that was stopped, by Ctrl-C or otherwise, resumes from its last checkpoint and ends, on the same machine, at the
    same bits as one that was not.

    Args:
        images: Images, as floats or bytes, every channel a grey image; or a set of them.
        group: The group.
        kernel_size: Side of the atoms, in pixels.
        config: How to train.
        start: Basis to start from in place of the configured start; it stays as it is.
        out: Folder of the record; must be empty or not exist, unless the run is resumed.
        resume: Resume from the checkpoint in `out`, if there is one.
        tensorboard: Write TensorBoard event files to `out` too.
        progress: Called after every step.

    Returns:
        The best basis found, and how it came about.

    Raises:
        FileExistsError: If `out` holds a record and `resume` is false.
        FloatingPointError: If the loss is NaN or infinite; says at which step.
        ModuleNotFoundError: If TensorBoard is requested and not installed.
        ValueError: If there are too few images, they are constant, smaller than the kernel or not finite, settings
            make no sense, or the record in `out` is of another run.
    """
    config = BasisTraining() if config is None else config
    config.check()
    if out is None and (resume or tensorboard):
        raise ValueError("train_basis expects a folder `out` to resume from or to write TensorBoard files to.")
    if start is not None and (start.group, start.kernel_size) != (group, (kernel_size, kernel_size)):
        raise ValueError(
            f"train_basis expects a start for {group} and kernel size {kernel_size}, got one for {start.group} and "
            f"{start.kernel_size}."
        )
    grey = _grey(images)
    pixels = _standardize(grey, config.contrast)
    run = _Run(pixels, group, kernel_size, config, start, num_constant=len(grey) - len(pixels))
    if out is None:
        return run.train([], None, progress)
    identity = {
        "group": group.name,
        "kernel_size": kernel_size,
        "images": tensor_digest(grey),
        "start": None if start is None else tensor_digest(start(torch.float64).detach()),
        "config": asdict(config),
    }
    with RunFolder(out, identity, resume=resume, tensorboard=tensorboard) as folder:
        rows = run.restore(folder)
        return run.train(rows, folder, progress)


class _Run:
    """The state of one training run: all that a checkpoint has to hold."""

    def __init__(
        self,
        images: Tensor,
        group: Group,
        kernel_size: int,
        config: BasisTraining,
        start: LearnedBasis | None,
        *,
        num_constant: int,
    ) -> None:
        self.group, self.kernel_size, self.config = group, kernel_size, config
        self.generator = torch.Generator().manual_seed(config.seed)
        if not len(images):
            raise ValueError(
                f"train_basis expects images with some contrast, got {num_constant} constant ones and no other. "
                "Nothing can be learned about how filters turn from them."
                if num_constant
                else "train_basis expects more images than one batch and the held-out ones, got none."
            )
        order = torch.randperm(len(images), generator=self.generator).to(images.device)
        held = max(1, round(config.held_out * len(images)))
        if len(images) - held < config.batch_size:
            raise ValueError(
                f"train_basis expects more images than one batch of {config.batch_size} and the held-out ones, got "
                f"{len(images)}, {held} of them held out"
                + (f", besides {num_constant} constant ones that were left out." if num_constant else ".")
                + " Use more images or smaller batches."
            )
        if start is None:
            start = LearnedBasis(
                group, kernel_size, config.num_atoms, start=config.start, orthogonal=config.orthogonal, seed=config.seed
            )
        else:
            start = LearnedBasis.from_basis(start, orthogonal=start.orthogonal or config.orthogonal)
        self.images = images[order[held:]]
        self.basis = start.to(device=images.device, dtype=images.dtype)
        self.optimizer = torch.optim.Adam(self.basis.parameters(), config.learning_rate)
        self.moments: Moments = measure_moments(images[order[:held]], group, kernel_size)
        self.rotate = image_rotator(config.rotator, config.sigma)
        self.step, self.stale = 0, 0
        self.best, self.best_error = self._atoms(), self._held_out_error()

    def train(self, rows: list[Row], folder: RunFolder | None, progress: ProgressCallback) -> TrainedBasis:
        """Run the remaining steps."""
        config = self.config
        while self.step < config.steps and not self._shall_stop():
            row = self._take_step()
            checked = self.step % config.check_every == 0 or self.step == config.steps
            if checked:
                error = self._held_out_error()
                row["held_out_error"] = error
                improved = error < self.best_error
                self.stale = 0 if improved else self.stale + 1
                if improved:
                    self.best, self.best_error = self._atoms(), error
            rows.append(row)
            if folder is not None:
                folder.add(row)
                if checked:
                    folder.save(self._checkpoint())
            progress("learning a basis", self.step, config.steps)
        best = LearnedBasis.from_basis(self.basis, orthogonal=self.basis.orthogonal)
        best.load_state_dict(self.best)
        return TrainedBasis(best, self.best_error, self.step, rows, self.moments)

    def restore(self, folder: RunFolder) -> list[Row]:
        """Restore the last checkpoint of a folder, if it has one."""
        found, rows = folder.load()
        if found is not None:
            state, parts = found.rest, {"basis": {}, "best": {}}
            for name, tensor in found.weights.items():
                part, _, inner = name.partition(".")
                parts[part][inner] = tensor.to(self.images.device)
            self.step, self.stale, self.best_error = found.step, state["stale"], state["best_error"]
            self.basis.load_state_dict(parts["basis"])
            self.best = parts["best"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
        return rows

    def _checkpoint(self) -> Checkpoint:
        parts = {"basis": self._atoms(), "best": self.best}
        weights = {f"{part}.{name}": one.cpu() for part, own in parts.items() for name, one in own.items()}
        return Checkpoint(
            step=self.step,
            weights={name: tensor.clone().contiguous() for name, tensor in weights.items()},
            rest={
                "stale": self.stale,
                "best_error": self.best_error,
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
            },
        )

    def _shall_stop(self) -> bool:
        return 0 < self.config.patience <= self.stale

    def _take_step(self) -> Row:
        config, step = self.config, self.step + 1
        if config.decay:
            rate = config.learning_rate * (1 + math.cos(math.pi * self.step / config.steps)) / 2
            self.optimizer.param_groups[0]["lr"] = rate
        chosen = torch.randperm(len(self.images), generator=self.generator)[: config.batch_size]
        g1, g2 = torch.randint(self.group.order, (2,), generator=self.generator).tolist()
        batch = self.images[chosen.to(self.images.device)]
        pair = draw_pair(batch, self.kernel_size, self.group, g1, g2, self.rotate)
        atoms = self.basis()
        equivariance = pair.equivariance(atoms, config.norm)
        reconstruction = pair.reconstruction(atoms, config.norm)
        orthogonality = orthogonality_loss(atoms, config.norm)
        loss = (
            config.equivariance_weight * equivariance
            + config.reconstruction_weight * reconstruction
            + config.orthogonality_weight * orthogonality
        )
        values = torch.stack([loss, equivariance, reconstruction, orthogonality]).tolist()
        if not math.isfinite(values[0]):
            raise FloatingPointError(
                f"The loss became {values[0]} at step {step} of {config.steps}. Lower the learning rate "
                f"({config.learning_rate:g}), or look at the images."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step = step
        names = ("loss", "equivariance", "reconstruction", "orthogonality")
        return {"step": step, **dict(zip(names, values, strict=True))}

    def _held_out_error(self) -> float:
        errors = basis_equivariance_error(self.basis, self.moments)
        return float(errors[1:].mean()) if len(errors) > 1 else float(errors.mean())

    def _atoms(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.basis.state_dict().items()}


def _grey(images: Tensor | GreyImages) -> Float[Tensor, "n 1 h w"]:
    """Every channel as a grey image, in floating point."""
    tensor = images if isinstance(images, Tensor) else images.grey()
    if tensor.ndim != 4:
        raise ValueError(
            f"train_basis expects images of shape (n, channels, height, width), got {tuple(tensor.shape)}."
        )
    tensor = tensor if tensor.is_floating_point() else tensor.float() / 255
    tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    check_finite("train_basis", "images", tensor)
    return tensor.detach().flatten(0, 1)[:, None]


def _standardize(images: Float[Tensor, "n 1 h w"], contrast: float | None) -> Float[Tensor, "n 1 h w"]:
    """Images of zero mean and one standard deviation; constant ones drop out."""
    if contrast is None:
        return images
    centred = images - images.mean((-2, -1), keepdim=True)
    spread = centred.square().mean((-2, -1), keepdim=True).sqrt()
    constant = spread <= 1e-6 * images.abs().amax((-2, -1), keepdim=True)  # but for rounding
    return (contrast * centred / spread)[~constant.flatten()]
