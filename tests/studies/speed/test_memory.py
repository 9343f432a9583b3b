"""Peak memory, of steps whose need is known to the byte."""

import torch

from studies.speed.memory import peak_bytes

CPU = torch.device("cpu")
MEGABYTE = 2**20


def megabytes(count):
    return torch.empty(count * MEGABYTE, dtype=torch.uint8)


def test_what_is_released_on_the_way_counts_only_while_it_lasts():
    def step():
        first = megabytes(3)
        del first
        second, third = megabytes(2), megabytes(2)
        del second
        return third

    assert peak_bytes(step, [], CPU) == 4 * MEGABYTE


def test_temporaries_inside_of_operators_and_in_backward_count():
    x = torch.ones(MEGABYTE // 4, requires_grad=True)
    forward = peak_bytes(lambda: x.exp(), [], CPU)
    assert forward == MEGABYTE
    assert 2 * MEGABYTE < peak_bytes(lambda: x.exp().sum().backward(), [], CPU) < 4 * MEGABYTE
