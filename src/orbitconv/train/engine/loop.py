"""The training loop: on one process or several, in memory or with a folder, from the start or from a checkpoint."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from orbitconv._support.explained import explained_compiler, explained_memory
from orbitconv._support.progress import FIGURES, ProgressCallback
from orbitconv.records.checkpoint import Checkpoint
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import RunFolder
from orbitconv.train.engine.interrupt import StopRequest, stop_requests
from orbitconv.train.engine.layout import laid_out, lay_out_gradients
from orbitconv.train.engine.meter import Meter
from orbitconv.train.engine.state import TrainingState
from orbitconv.train.engine.step import measure, train_step
from orbitconv.train.engine.sync_norm import synchronized
from orbitconv.train.examples import Source
from orbitconv.train.settings import Plan
from orbitconv.train.task import Classification, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Steps between two waits for a GPU or for other processes, for the progress bar, Ctrl-C and a NaN loss.
_STRIDE = 20


class Loop:
    """One training of a network in place, with processes that can each reach all examples.

    The smallest error on the test named "validation" tells the best weights. The task is classification with the label
    smoothing of the plan if not given. Process 0 calls `progress` after every step, and `on_epoch` with the line of
    every epoch; true ends the training after it.

    Raises:
        ValueError: If there are fewer images than one batch, or than processes.
    """

    def __init__(
        self,
        fabric: "Fabric",
        network: nn.Module,
        examples: Source,
        tests: Mapping[str, Source],
        plan: Plan,
        *,
        task: Task | None = None,
        what: str,
        progress: ProgressCallback,
        on_epoch: Callable[[Row], bool] | None = None,
    ) -> None:
        training = plan.training
        if len(examples) < training.batch_size:
            raise ValueError(f"train expects at least one batch of {training.batch_size} images, got {len(examples)}.")
        if training.batch_size < fabric.world_size:
            raise ValueError(
                f"train expects at least one image of each batch for each of {fabric.world_size} processes, got "
                f"batches of {training.batch_size}."
            )
        plan = laid_out(plan, network, fabric.device.type)
        self._fabric, self._plan, self._what, self._progress = fabric, plan, what, progress
        self._task = Classification(training.label_smoothing) if task is None else task
        self._on_epoch = on_epoch
        self._folder: RunFolder | None = None
        self._per_epoch = len(examples) // training.batch_size
        self._total = training.epochs * self._per_epoch
        with self._explained_memory():
            network = fabric.to_device(network)
            self._examples = examples.to(fabric.device)
            self._tests = {name: test.to(fabric.device) for name, test in tests.items()}
        if fabric.world_size > 1:
            lay_out_gradients(network)
        self.state = TrainingState(network, training, self._total, fabric)
        self._meter = Meter(fabric, training.batch_size)
        self._stride = 1 if fabric.device.type == "cpu" and fabric.world_size == 1 else _STRIDE

    def run(self, folder: RunFolder | None = None, keep: Callable[[], None] | None = None) -> list[Row]:
        """Train, from the start or from the checkpoint in the folder, where process 0 keeps lines and checkpoints.

        `keep` is called when the training is done, to keep the network before a request to stop is met.

        Raises:
            FloatingPointError: If the loss is NaN or infinite; says at which step.
            KeyboardInterrupt: After Ctrl-C, once the step is done and a checkpoint is written; in the last step or the
                last test, once all is kept.
            ValueError: If the checkpoint is of another training.
        """
        self._folder = folder
        devices = [self._fabric.device] if self._fabric.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices, enabled=self._plan.seed_layers),
            synchronized(self.state.network) if self._fabric.world_size > 1 else nullcontext(),
            stop_requests() as stop,
            self._explained_memory(),
            explained_compiler(),
        ):
            rows = self._run(stop)
            if self.state.averaged is not None:
                self.state.network.load_state_dict(self.state.tested.state_dict())
            if keep is not None:
                keep()
            stop.made = self._agree(stop.made)
        return rows

    def _run(self, stop: StopRequest) -> list[Row]:
        """All epochs that are left."""
        rows = self._restore()
        network: Any = torch.compile(self.state.network) if self._plan.hardware.compile else self.state.network
        module, optimizer = self._fabric.setup(network, self.state.optimizer)
        first, done = divmod(self.state.step, self._per_epoch)
        batch_size = self._plan.training.batch_size
        epochs = self._examples.epochs(
            batch_size, seed=self._plan.seed, epoch=first, first_step=done, rank=self._fabric.global_rank,
            world_size=self._fabric.world_size,
        )  # fmt: skip
        for epoch, batches in zip(range(first, self._plan.training.epochs), epochs, strict=False):
            if not done:
                self._meter.begin()
            self.state.network.train()
            for batch in batches:
                step = train_step(
                    self._fabric, module, optimizer, batch, batch_size, self._task, self._plan, self.state.step
                )
                self.state.advance()
                self._meter.add(*step)
                self._look_up(stop)
            done = 0
            rows.append(self._finish_epoch(epoch))
            self._save()
            ends = self._on_epoch is not None and self._on_epoch(rows[-1])
            if self.state.step < self._total and self._agree(stop.made):
                raise KeyboardInterrupt
            if ends:
                break
        return rows

    def _look_up(self, stop: StopRequest) -> None:
        """Between two steps: figures, checkpoint, Ctrl-C."""
        step, every = self.state.step, self._plan.checkpoint_every
        ends = step % self._per_epoch == 0
        save = not ends and every is not None and step % every == 0
        if ends or save or step % self._stride == 0:
            self._settle()
            stopped = not ends and self._agree(stop.made)
            if save or stopped:
                self._save()
            if stopped:
                raise KeyboardInterrupt
        if self._fabric.is_global_zero:
            self._progress(f"{self._what}{FIGURES}{self._meter.figures()}", step, self._total)

    def _settle(self) -> None:
        """Collect the losses so far, and stop if one is NaN or infinite."""
        try:
            self._meter.settle(self.state.step)
        except FloatingPointError as error:
            kept = ""
            if self._folder is not None and self._folder.has_checkpoint:
                kept = f" The last checkpoint in {self._folder.path} is from before it."
            raise FloatingPointError(
                f"{error} Lower the learning rate ({self._plan.training.learning_rate:g}).{kept}"
            ) from error

    def _explained_memory(self) -> AbstractContextManager[None]:
        """What to lower where the memory does not suffice."""
        return explained_memory(
            f"batches of {self._plan.training.batch_size} images",
            "Lower the batch size or the width of the network, choose precision bf16, or use more processes.",
        )

    def _agree(self, stop: bool) -> bool:
        """Whether any process is to stop."""
        if self._fabric.world_size == 1:
            return stop
        total = self._fabric.all_reduce(torch.tensor(float(stop), device=self._fabric.device), reduce_op="sum")
        return bool(total)

    def _finish_epoch(self, epoch: int) -> Row:
        """Test, and write the line of an epoch."""
        figures = self._meter.figures()
        row: Row = {
            "epoch": epoch + 1,
            "step": self.state.step,
            "loss": figures.loss,
            "train_error_percent": figures.error,
            "learning_rate": self.state.optimizer.param_groups[0]["lr"],
        }
        if (epoch + 1) % self._plan.test_every == 0 or epoch + 1 == self._plan.training.epochs:
            for name, test in self._tests.items():
                found = measure(self._fabric, self.state.tested, test, self._task)
                row |= {f"{name}_{figure}": value for figure, value in found.items()}
        if "validation_error_percent" in row:
            self.state.remember(row["validation_error_percent"])
        row |= {"images_per_second": figures.speed, "seconds": figures.seconds}
        if self._folder is not None:
            self._folder.add(row)
        return row

    def _save(self) -> None:
        """Write a checkpoint, if the training has a folder."""
        if self._folder is not None:
            rest = {**self.state.rest(), "meter": self._meter.state()}
            self._folder.save(Checkpoint(step=self.state.step, weights=self.state.weights(), rest=rest))

    def _restore(self) -> list[Row]:
        """Resume from the checkpoint in the folder, if there is one; process 0 reads it for all."""
        found, rows = (None, []) if self._folder is None else self._folder.load(self._per_epoch)
        found, rows = self._fabric.broadcast((found, rows))
        if found is not None:
            self.state.restore(found.weights, found.rest)
            self._meter.restore(found.rest["meter"])
        return rows
