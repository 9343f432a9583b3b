"""`orbitconv export`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from torch import nn

from orbitconv.cli.terminal import Terminal
from orbitconv.experiments.training import load_trained
from orbitconv.export import FileFormat, export_model
from orbitconv.nn import BasisConv2d

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
    """torch: a module that may be trained on; onnx: needs orbitconv[export]; torchscript: also for C++."""
    out: Path | None = None
    """File to write; by default beside the checkpoint, ending in .pt, .onnx or .ts."""
    size: int = 32
    """Side of the images that it is made with, in pixels; of all images, if the network takes no others."""
    overwrite: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Load, fold, check, write.

        Raises:
            FileExistsError: If the file is there and may not be replaced.
        """
        path = self._path()
        if path.exists() and not self.overwrite:
            raise FileExistsError(f"{path} exists already. Choose another --out, or replace it with --overwrite.")
        network, _ = load_trained(self.checkpoint)
        channels = next(m.in_channels for m in network.modules() if isinstance(m, BasisConv2d | nn.Conv2d))
        exported = export_model(network, path, self.format, (channels, self.size, self.size))
        terminal = Terminal()
        images = "any size" if exported.any_size else f"{self.size}x{self.size} pixels"
        terminal.say(f"{path}: batches of any size, images of {images}; off by {exported.error:.1e} from the network.")
        terminal.say(f"Load it with {_LOADED_BY[self.format].format(str(path))}")

    def _path(self) -> Path:
        """Where the file goes."""
        if self.out is not None:
            return self.out
        source = self.checkpoint / "model" if self.checkpoint.is_dir() else self.checkpoint
        return source.with_suffix(_SUFFIX[self.format])
