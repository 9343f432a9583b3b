"""Orthogonal factors of matrices, whole and partial, that do not fail on repeated singular values."""

import torch
from jaxtyping import Float
from torch import Tensor


def singular_vectors(matrix: Float[Tensor, "m n"]) -> tuple[Tensor, Tensor, Tensor]:
    """Singular value decomposition `U diag(s) V^T` of a small matrix.

    The usual routine (divide and conquer) may fail on matrices with many equal singular values, as orthogonal ones
    are. A random rotation of the columns, undone afterwards, then helps.
    """
    try:
        U, s, Vh = torch.linalg.svd(matrix, full_matrices=False)
    except RuntimeError:  # torch.linalg.LinAlgError
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(matrix.shape[1], matrix.shape[1], generator=generator, dtype=matrix.dtype)
        rotation = torch.linalg.qr(noise.to(matrix.device)).Q
        U, s, Vh = torch.linalg.svd(matrix @ rotation, full_matrices=False)
        Vh = Vh @ rotation.T
    return U, s, Vh.T


def kept_directions(matrix: Float[Tensor, "p p"], threshold: float) -> tuple[Tensor, Tensor]:
    """Directions that a square matrix does not shrink below a threshold."""
    squares, V = torch.linalg.eigh(matrix.T @ matrix)
    kept = V[:, squares > threshold**2]
    return kept, torch.linalg.qr(matrix @ kept).Q


def complement(columns: Float[Tensor, "p r"]) -> Float[Tensor, "p s"]:
    """Orthonormal columns that, with the given orthonormal ones, span the whole space."""
    p, r = columns.shape
    projector = torch.eye(p, dtype=columns.dtype, device=columns.device) - columns @ columns.T
    return torch.linalg.eigh(projector).eigenvectors[:, r:]


def partial_isometry(matrix: Float[Tensor, "p p"], threshold: float = 0.5) -> Float[Tensor, "p p"]:
    """The nearest matrix whose singular values are 1, where they are above a threshold, and 0."""
    squares, V = torch.linalg.eigh(matrix.T @ matrix)
    kept = squares > threshold**2
    return matrix @ (V[:, kept] / squares[kept].sqrt()) @ V[:, kept].T
