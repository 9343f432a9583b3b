"""Pictures with labels or masks, divided for training, validation and testing, and batches of them."""

from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from orbitconv._support.checks import check_positive
from orbitconv.data.batches import TestBatches, TrainBatches
from orbitconv.data.folders.found import Found
from orbitconv.data.folders.layout import Split, Task
from orbitconv.data.folders.picture_dataset import PictureDataset
from orbitconv.data.scaling import Scaling


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PictureFolder:
    """Pictures with labels or masks, divided for training, validation and testing.

    Args:
        task: `"classification"`, `"multilabel"` or `"segmentation"`.
        classes: Name of each class.
        channels: Channels of the images.
        scaling: How the numbers of files became floats.
        train: To train on.
        val: To choose by; None if there is none.
        test: To test on; None if there is none.
        found: What was found and what was left out; print it.
        objects: Whether masks number objects (`train.numbered(i)`).
        ignore_index: What stands in masks where nothing is to be learned.
    """

    task: Task
    classes: tuple[str, ...]
    channels: int
    scaling: Scaling
    train: PictureDataset
    val: PictureDataset | None
    test: PictureDataset | None
    found: Found
    objects: bool = False
    ignore_index: int = 255

    def split(self, name: Split) -> PictureDataset:
        """The pictures of a split: `"train"`, `"val"` or `"test"`.

        Raises:
            ValueError: If there is no such split.
        """
        data = {"train": self.train, "val": self.val, "test": self.test}.get(name)
        if data is None:
            known = ", ".join(repr(split) for split in self.found.pictures)
            raise ValueError(f"PictureFolder.split expects one of {known}, got {name!r}. Ask folder for val_share.")
        return data

    def loader(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        first_step: int = 0,
        workers: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        balanced: bool = False,
        **options: Any,
    ) -> DataLoader:
        """Batches of a split.

        Training batches are shuffled: a function of seed, epoch and step alone, shared by the processes of
        torch.distributed. Each iteration is the next epoch; `loader.batch_sampler.start(epoch, first_step)` sets
        where it begins. Other batches come in order; where pictures differ in size they come one by one.

        Args:
            split: `"train"`, `"val"` or `"test"`.
            batch_size: Images of a batch; of a training batch over all processes.
            seed: Seed of order and windows.
            epoch: First epoch, from 0.
            first_step: First step in it, from 0.
            workers: Processes that read pictures.
            rank: Number of this process; None asks torch.distributed.
            world_size: Number of processes; None asks torch.distributed.
            balanced: Draw training pictures with replacement, so that all classes are equally frequent.
            **options: Passed to `DataLoader`, such as `pin_memory`.

        Returns:
            A plain `DataLoader` of (images, labels).

        Raises:
            ValueError: If training pictures differ in size, or are to be balanced without having one class each.
        """
        check_positive("PictureFolder.loader", batch_size=batch_size)
        data = self.split(split)
        here = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank = (torch.distributed.get_rank() if here else 0) if rank is None else rank
        world_size = (torch.distributed.get_world_size() if here else 1) if world_size is None else world_size
        if split == "train":
            if data.shape is None and batch_size > 1:
                raise ValueError(
                    "PictureFolder.loader expects training pictures of one size, got several. Ask folder for a window "
                    "or a size."
                )
            batches = TrainBatches(
                len(data), batch_size, seed=seed, epoch=epoch, first_step=first_step, rank=rank, world_size=world_size,
                weights=self._balance() if balanced else None,
            )  # fmt: skip
        else:
            size = batch_size if data.shape is not None else 1
            batches = TestBatches(len(data), size, rank=rank, world_size=world_size)
        if workers:
            options = {"persistent_workers": True} | options
        return DataLoader(data, batch_sampler=batches, num_workers=workers, **options)

    def _balance(self) -> Float[Tensor, " n"]:
        """Weights of the training pictures: one over the number of pictures of their class."""
        if self.task != "classification":
            raise ValueError(
                f"PictureFolder.loader balances classes of pictures, got {self.task}. Weight the loss instead."
            )
        labels = self.train.labels
        return 1 / labels.bincount().float()[labels]
