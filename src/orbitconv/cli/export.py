"""`orbitconv export`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from orbitconv._support.files import check_replaceable
from orbitconv.cli.terminal import Terminal
from orbitconv.export import FileFormat, export_model
from orbitconv.train import read_trained

# Height and width where the file of a network does not tell, as those of older versions.
_USUAL = (32, 32)
_SUFFIX = {"torch": ".pt", "onnx": ".onnx", "torchscript": ".ts"}
_LOADED_BY = {
    "torch": "torch.load({!r}, weights_only=False)",
    "onnx": "onnxruntime.InferenceSession({!r})",
    "torchscript": "torch.jit.load({!r})",
}


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write a trained network as one file for those who have no orbitconv: filters expanded, batch norm merged.

    The file takes batches of any size, and images of any size where the network does. It is compared with the network
    before it appears.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training, or a file that it wrote (model.safetensors, best.safetensors)."""
    format: FileFormat = "torch"
    """torch: a module that may be trained on; onnx: needs the extra export; torchscript: also for C++."""
    out: Path | None = None
    """File to write; by default beside the checkpoint, ending in .pt, .onnx or .ts."""
    size: int | None = None
    """Side of the images that it is made with, in pixels; of all images, if the network takes no others. By default
    that of the images it was trained on."""
    overwrite: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Load, fold, check, write.

        Raises:
            FileExistsError: If the file is there and may not be replaced.
        """
        path = self._path()
        check_replaceable(path, overwrite=self.overwrite)
        trained = read_trained(self.checkpoint)
        height, width = (trained.image_size or _USUAL) if self.size is None else (self.size, self.size)
        exported = export_model(trained.network, path, self.format, (trained.in_channels, height, width))
        terminal = Terminal()
        images = "any size" if exported.any_size else f"{height}x{width} pixels"
        terminal.say(f"{path}: batches of any size, images of {images}; off by {exported.error:.1e} from the network.")
        terminal.say(f"Load it with {_LOADED_BY[self.format].format(str(path))}")

    def _path(self) -> Path:
        """Where the file goes."""
        if self.out is not None:
            return self.out
        source = self.checkpoint / "model" if self.checkpoint.is_dir() else self.checkpoint
        return source.with_suffix(_SUFFIX[self.format])
