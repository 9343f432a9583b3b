"""Settings of a sweep."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from orbitconv._support.checks import check_positive
from orbitconv.records.settings import flat_settings
from orbitconv.train import TrainConfig, read_config
from orbitconv.train.config import merge


@dataclass(frozen=True, kw_only=True)
class Sweep(TrainConfig):
    """Settings of a training, the search space, and the folder of the sweep."""

    out: Path = Path("runs/sweep")
    """Folder of the sweep. A stopped sweep resumes from it; several processes may share the work."""
    search: tuple[str, ...] = ()
    """Settings to search, each with its bounds: training.learning_rate=log:1e-3:1e-1, training.warmup=float:0.1:0.5,
    network.options.width=int:4:32 (log-int: by the logarithm), training.batch_size=choice:32,64,128."""
    trials: int = 20
    """Trainings of the whole sweep, by all processes together; those that were killed do not count."""
    startup: int = 5
    """Trainings with random settings, none of them pruned, before the search uses earlier results."""
    prune_after: int = 1
    """Epochs before a training may be pruned, which happens when its smallest validation error so far is above the
    median of the others at the same epoch."""
    config: Path | None = None
    """JSON file of settings, such as the config.json of a training; command-line options take precedence."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    results: Path | None = None
    """Write the record to this JSON file too."""

    def __post_init__(self) -> None:
        check_positive("sweep", trials=self.trials, startup=self.startup, prune_after=self.prune_after)

    def base(self) -> TrainConfig:
        """The base settings of the search."""
        config = TrainConfig(**{one.name: getattr(self, one.name) for one in fields(TrainConfig)})
        if self.config is not None:
            config = merge(config, read_config(self.config))
        config.check()
        if config.validation_images < 1:
            raise ValueError(
                "sweep expects images held out of the training set to compare settings by, got none. Give "
                "--validation-images, such as 5000; the test set is left alone."
            )
        return config

    def shared(self, base: TrainConfig) -> dict[str, Any]:
        """Settings that all processes of a sweep share; hardware and the number of trials may differ."""
        flat = flat_settings(asdict(base))
        same = {name: value for name, value in flat.items() if not name.startswith("hardware.")}
        return {**same, "search": list(self.search), "startup": self.startup, "prune_after": self.prune_after}
