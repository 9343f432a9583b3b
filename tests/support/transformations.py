"""Transformations of small images as matrices, and images to learn them from."""

import math

import torch

SIDE = 8


def matrix_of(transform, shape=(SIDE, SIDE)):
    """The matrix of a linear transformation of images, column by column."""
    size = math.prod(shape)
    return transform(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).reshape(size, size).T


def correlated_images(n=400, side=SIDE):
    """Noise with a spectrum that falls, as that of natural images does."""
    noise = torch.randn(n, side, side, dtype=torch.float64)
    return noise + 2 * noise.cumsum(1).cumsum(2) / side


def zero_shift(x, axis):
    """One pixel on along an axis; zeros come in."""
    y = x.roll(1, axis)
    y.select(axis, 0).zero_()
    return y


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())
