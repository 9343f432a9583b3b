"""A line for each epoch of a training, where there is no terminal for a bar."""

import os
import sys
import time
from collections.abc import Callable

from orbitconv._support.progress import PATIENCE
from orbitconv.records.metric_lines import Row


def epoch_lines(epochs: int, on_epoch: Callable[[Row], bool] | None = None) -> Callable[[Row], bool]:
    """Print a line on standard error after each epoch, once a training has taken two seconds; in process 0 only."""
    start = time.monotonic()

    def told(row: Row) -> bool:
        if time.monotonic() - start >= PATIENCE and os.environ.get("RANK", "0") == "0":
            errors = [
                f"{name.removesuffix('_error_percent')} error {value:.2f} %"
                for name, value in row.items() if name.endswith("_error_percent")
            ]  # fmt: skip
            words = ", ".join([f"loss {row['loss']:.4f}", *errors, f"{row['seconds']:.1f} s"])
            sys.stderr.write(f"epoch {row['epoch']} of {epochs}: {words}\n")
        return on_epoch is not None and on_epoch(row)

    return told
