"""A report on runs: from folders to one HTML file."""

from dataclasses import dataclass
from pathlib import Path

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.files import check_replaceable, write_atomically
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.figures.drawing import check_libraries
from orbitconv.records.command import command_as_run
from orbitconv.report.grouping import kinds_by_data
from orbitconv.report.outcome import Outcome, run_tests
from orbitconv.report.page import make_page
from orbitconv.report.record import record_of
from orbitconv.report.runs import find_runs
from orbitconv.train import Hardware


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Write one self-contained HTML page about any set of runs."""

    runs: tuple[Path, ...]
    """Folders of runs (the --out of orbitconv train), or folders that hold several, such as that of a study."""
    out: Path = Path("runs/report.html")
    """File to write."""
    overwrite: bool = False
    """Replace a file that is there."""
    test_images: int = 1000
    """Test images at most, the first of the test set."""
    step_degrees: int = 15
    """Degrees between two angles of the curve of error against angle."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    device: Device = "auto"
    """Where to compute; "auto" takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_positive("report", test_images=self.test_images, step_degrees=self.step_degrees)
        if self.step_degrees > 180:
            raise ValueError(f"report expects step_degrees <= 180, got {self.step_degrees}.")
        if not self.runs:
            raise ValueError("report expects one folder or more, got none. Name runs, or the folder that holds them.")
        Hardware(device=self.device).check()


def write_run_report(config: RunReport, progress: ProgressCallback = silent) -> list[Outcome]:
    """Test the finished runs and write the page; an error or Ctrl-C on the way leaves no file."""
    check_replaceable(config.out, overwrite=config.overwrite)
    check_libraries()
    device = find_device("orbitconv report", config.device)
    runs = find_runs(config.runs)
    outcomes = [
        run_tests(
            data, kinds, test_images=config.test_images, degrees=range(0, 360, config.step_degrees),
            data_dir=config.data_dir, device=device, progress=progress,
        )
        for data, kinds in kinds_by_data(runs).items()
    ]  # fmt: skip
    command = command_as_run("orbitconv report", config, ("runs",))
    settings = {
        "runs": [str(path) for path in config.runs],
        "test_images": config.test_images,
        "step_degrees": config.step_degrees,
        "device": str(device),
    }
    write_atomically(config.out, make_page(outcomes, record_of(outcomes, command, settings), progress))
    return outcomes
