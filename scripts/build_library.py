"""Learn the bases that come with the package, from CIFAR-10's training images, and write them where they are shipped.

    python scripts/build_library.py

Takes about three minutes on two cores. The same images give the same files but for the last bits of the arithmetic.
"""

from orbitconv import __version__
from orbitconv.bases import save_basis
from orbitconv.bases.library import FOLDER
from orbitconv.data import load
from orbitconv.groups import parse_group
from orbitconv.learn import Moments
from orbitconv.learn_basis import fit

GROUPS = ("c4", "c6", "c8", "c12", "c16", "d4", "d6", "d8")
KERNELS = (3, 5, 7)
TRAIN_IMAGES, TEST_IMAGES = 10_000, 2_000


def main() -> None:
    """Fit and write every basis."""
    train = load("cifar10", "train").take(TRAIN_IMAGES).grey()
    test = load("cifar10", "test").take(TEST_IMAGES).grey()
    FOLDER.mkdir(exist_ok=True)
    for name in GROUPS:
        for kernel in KERNELS:
            moments, held_out = (Moments(parse_group(name), kernel) for _ in range(2))
            for measured, images in ((moments, train), (held_out, test)):
                for batch in images.split(1000):
                    measured.update(batch)
            for family in ("spectral", "unitary"):
                basis, facts = fit(family, moments, held_out)
                facts |= {
                    "data": "CIFAR-10 training images", "images": TRAIN_IMAGES, "orbitconv": __version__,
                    "measured_on": f"the first {TEST_IMAGES} CIFAR-10 test images",
                }  # fmt: skip
                path = FOLDER / f"{family}-{name}-k{kernel}.safetensors"
                save_basis(basis, path, **facts)
                print(f"{path.name}: {basis.num_atoms} atoms, error {facts['equivariance_error']:.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
