import pytest
import torch

from networks import exact_c4
from orbitconv.models import P4CNN, count_multiply_adds, count_parameters


def test_published_sizes():
    plain = P4CNN(None)
    assert count_parameters(plain) == 20 * 9 + 5 * 20 * 20 * 9 + 20 * 10 * 16 + 10 + 6 * 40 == 21_630  # about 22k
    group = P4CNN(exact_c4, width=10)
    assert count_parameters(group) == 10 * 9 + 5 * 400 * 9 + 10 * 10 * 4 * 16 + 10 + 6 * 20 == 24_620  # about 25k
    sides = [26, 24, 10, 8, 6, 4]
    products = 20 * 9 * 26**2 + 400 * 9 * sum(side**2 for side in sides[1:]) + 3200
    assert count_multiply_adds(plain, (1, 28, 28)) == products


@pytest.mark.parametrize("basis", [None, exact_c4])
def test_planes_are_those_of_the_paper_for_every_kernel(basis):
    for kernel_size, last in ((3, 4), (5, 4), (5, 6), (3, 3)):
        network = P4CNN(basis, width=1, kernel_size=kernel_size, last_kernel_size=last).eval()
        side = network.features(torch.zeros(1, 1, 28, 28)).shape[-1]
        assert side == (2 if last == 3 else 1)
