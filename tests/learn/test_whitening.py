"""Whitening."""

import math

import pytest
import torch

from orbitconv.groups import act_image, parse_group
from orbitconv.learn import whiten_images


def test_a_wave_is_multiplied_by_its_frequency_and_the_low_pass():
    n, cycles, sigma = 64, 5, 0.8
    frequency = cycles / (2 * n)
    wave = torch.cos(2 * math.pi * frequency * (torch.arange(n, dtype=torch.float64) + 0.5))  # mirrors into itself
    image = wave.expand(n, n)[None, None]
    gain = frequency * math.exp(-2 * (math.pi * sigma * frequency) ** 2)
    torch.testing.assert_close(whiten_images(image, sigma), gain * image, rtol=0, atol=1e-12)


def test_constants_vanish():
    assert whiten_images(torch.full((1, 1, 9, 12), 3.0, dtype=torch.float64)).abs().max() < 1e-12


def test_quarter_turns_and_mirrors_commute_with_it():
    group = parse_group("d4")
    x = torch.randn(2, 1, 15, 15, dtype=torch.float64)
    for g in range(group.order):
        torch.testing.assert_close(whiten_images(act_image(x, group, g)), act_image(whiten_images(x), group, g))


def test_a_negative_width_is_refused():
    with pytest.raises(ValueError, match="sigma >= 0"):
        whiten_images(torch.zeros(1, 1, 4, 4), -1)
