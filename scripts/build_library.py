"""Learn the bases that come with the package, from CIFAR-10's training images, and write them where they are shipped.

    python scripts/build_library.py

Takes about three minutes on two cores. The same images give the same files but for the last bits of the arithmetic.
"""

from torch import Tensor

from orbitconv import __version__
from orbitconv.bases import SpectralBasis, UnitaryBasis, available_dimensions, save_basis
from orbitconv.bases.library import FOLDER
from orbitconv.data import load
from orbitconv.groups import parse_group
from orbitconv.hexagonal import to_hexagonal
from orbitconv.learn import Moments, measure_hexagonal_moments
from orbitconv.learn_basis import fit
from orbitconv.metrics import basis_equivariance_error

GROUPS = ("c4", "c6", "c8", "c12", "c16", "d4", "d6", "d8")
HEXAGONAL_GROUPS = ("c12", "d12")
KERNELS = (3, 5, 7)
WORST_ERROR = 0.16
"""Relative error up to which orbits on hexagons are recommended: the spectra fall off behind it."""
TRAIN_IMAGES, TEST_IMAGES = 10_000, 2_000


def main() -> None:
    """Fit and write every basis."""
    train = load("cifar10", "train").take(TRAIN_IMAGES).grey()
    test = load("cifar10", "test").take(TEST_IMAGES).grey()
    FOLDER.mkdir(exist_ok=True)
    for name in HEXAGONAL_GROUPS:
        for kernel in KERNELS:
            learn_on_hexagons(name, kernel, train, test)
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


def learn_on_hexagons(name: str, kernel: int, train: Tensor, test: Tensor) -> None:
    """Fit and write the bases of a group on the hexagonal lattice."""
    group = parse_group(name)
    moments, held_out = (
        measure_hexagonal_moments((to_hexagonal(x, padding_mode="reflect") for x in images.split(1000)), group, kernel)
        for images in (train, test)
    )
    whole = SpectralBasis(group, kernel, moments, dimension=available_dimensions(group, kernel, moments)[-1])
    cut = SpectralBasis(group, kernel, moments, max_error=WORST_ERROR)
    unitary = UnitaryBasis(group, kernel, moments)
    for basis, measured in ((whole, cut), (unitary, unitary)):
        error = float(basis_equivariance_error(measured, held_out).max())
        family = "spectral" if basis is whole else "unitary"
        facts = {
            "family": f"hexagonal-{family}", "equivariance_error": error, "data": "CIFAR-10 training images, resampled",
            "images": TRAIN_IMAGES, "orbitconv": __version__,
            "measured_on": f"the first {TEST_IMAGES} CIFAR-10 test images, resampled",
        }  # fmt: skip
        if basis is whole:
            facts["recommended_dimension"] = cut.num_atoms
        path = FOLDER / f"hexagonal-{family}-{name}-k{kernel}.safetensors"
        save_basis(basis, path, **facts)
        print(f"{path.name}: {measured.num_atoms} of {basis.num_atoms} atoms, error {error:.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
