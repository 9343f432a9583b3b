"""`orbitconv export`."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro

from orbitconv._support.files import check_replaceable
from orbitconv.cli.terminal import Terminal
from orbitconv.export import FileFormat, export_model
from orbitconv.onnx_graph import GraphOrder
from orbitconv.train import TrainedNetwork, read_trained

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
    """Write a trained network as one file that does not need orbitconv: filters expanded, batch norm folded.

    The file takes batches of any size, and images of any size where the network does. It is compared with the network
    before it appears.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training, or a file that it wrote (model.safetensors, best.safetensors)."""
    format: FileFormat = "torch"
    """torch: a module that can be trained further; onnx: needs the extra export; torchscript: also for C++."""
    out: Path | None = None
    """Output file; by default beside the checkpoint, with the suffix .pt, .onnx or .ts."""
    size: int | None = None
    """Side of the example images, in pixels, and of all images if the network has a fixed input size; by default that
    of its training."""
    graph: GraphOrder = "auto"
    """How group convolutions multiply in ONNX: each as one convolution (dense), in Fourier space with a quarter of the
    multiply-adds (fourier), or by what onnxruntime is faster with on this machine (auto)."""
    trust: tuple[str, ...] = ()
    """Packages that the file of the network may import to build it."""
    overwrite: bool = False
    """Replace an existing file."""

    def run(self) -> None:
        """Load, fold, check, write."""
        path = self._path()
        check_replaceable(path, overwrite=self.overwrite)
        trained = read_trained(self.checkpoint, self.trust)
        height, width = (trained.image_size or _USUAL) if self.size is None else (self.size, self.size)
        facts = {"task": trained.task.name, "classes": json.dumps(trained.classes)}
        facts["pixels"] = (
            "numbers from 0 to 1" if trained.scaling is None else f"numbers of files ({trained.scaling.kind})"
        )
        shape = (trained.in_channels, height, width)
        exported = export_model(
            trained.network, path, self.format, shape, scaling=trained.scaling, facts=facts, graph=self.graph
        )
        terminal = Terminal()
        images = "any size" if exported.any_size else f"{height}x{width} pixels"
        terminal.say(f"{path}: batches of any size, images of {images}; off by {exported.error:.1e} from the network.")
        if exported.reason:
            terminal.say(f"Images of one size only, though the network takes others: {exported.reason}.")
        if exported.graph:
            terminal.say(f"{exported.graph}.")
        terminal.say(f"It takes {facts['pixels']}, and holds the names of {len(trained.classes)} classes.")
        if self.format == "onnx":
            print(_program(path, trained, (height, width)))  # noqa: T201
        else:
            terminal.say(f"Load it with {_LOADED_BY[self.format].format(str(path))}")

    def _path(self) -> Path:
        """Path of the output file."""
        if self.out is not None:
            return self.out
        source = self.checkpoint / "model" if self.checkpoint.is_dir() else self.checkpoint
        return source.with_suffix(_SUFFIX[self.format])


def _program(path: Path, trained: TrainedNetwork, size: tuple[int, int]) -> str:
    """Ten lines of Python that run the file without this library."""
    mode = "RGB" if trained.in_channels == 3 else "L"
    resized = "" if trained.task.name == "segmentation" else f".resize({size[::-1]})"
    pixels = "pixels.transpose(2, 0, 1)[None]" if mode == "RGB" else "pixels[None, None]"
    divided = " / 255" if trained.scaling is None else ""
    answer = {
        "classification": "print(classes[scores[0].argmax()])",
        "multilabel": "print([name for name, score in zip(classes, scores[0]) if score > 0])",
        "segmentation": "print({n: float((scores[0].argmax(0) == i).mean()) for i, n in enumerate(classes)})",
    }[trained.task.name]
    return f"""
import json, sys
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession({str(path)!r})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
pixels = np.asarray(Image.open(sys.argv[1]).convert({mode!r}){resized}, dtype=np.float32){divided}
(scores,) = session.run(None, {{"image": {pixels}}})
{answer}
"""
