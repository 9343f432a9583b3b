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


def test_what_was_there_before_counts_once_for_each_storage_and_its_release_does_not():
    held = [megabytes(5)]
    resident = megabytes(2)
    assert peak_bytes(held.clear, [resident, resident[:10], megabytes(1)], CPU) == 3 * MEGABYTE


def test_the_profiler_says_nothing(capfd):
    peak_bytes(lambda: megabytes(1), [], CPU)
    assert capfd.readouterr() == ("", "")
