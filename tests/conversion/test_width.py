"""A narrower plain network, so that the converted one is as large as the plain one was."""

import pytest
import torch

import orbitconv
from orbitconv.conversion.width import narrowed, output_layers
from orbitconv.groups import Cyclic
from orbitconv.models import count_parameters
from orbitconv.testing import assert_equivariant
from plain_networks import TinyConvNeXt, TinyDense, TinyResNet


def test_the_layers_of_the_output_are_found_through_sums_and_gates():
    assert output_layers(TinyDense(), torch.randn(1, 2, 10, 10)) == {"mask"}
    found = output_layers(TinyConvNeXt(), torch.randn(1, 3, 8, 8))
    assert found == {"score", "patch", "narrow", "gamma"}  # the features that it returns are a sum of both


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_layers_that_a_sum_or_a_concatenation_ties_stay_alike(factor):
    for build, channels in ((TinyResNet, 3), (TinyDense, 2), (TinyConvNeXt, 3)):
        torch.manual_seed(0)
        x = torch.randn(2, channels, 12, 12)
        network = narrowed(build(), x, factor)
        assert network.stem[0].out_channels == 4 * factor if build is TinyResNet else True
        output = network(x)
        assert (output["scores"] if isinstance(output, dict) else output).shape[1] in {2, 4, 5}


@pytest.mark.parametrize("width", ["params", "compute"])
def test_the_converted_network_is_as_large_as_the_plain_one(width):
    plain, x = TinyResNet(wide=6), torch.randn(1, 3, 13, 13)
    network = orbitconv.convert(plain, "c4", example=x, width=width)
    before, after = network.report.parameters if width == "params" else network.report.multiply_adds
    assert after == pytest.approx(before, rel=0.12)
    assert network.report.parameters == (count_parameters(plain), count_parameters(network))
    assert 0.2 < network.report.width < 0.9
    assert_equivariant(network.double(), torch.randn(2, 3, 13, 13, dtype=torch.float64), Cyclic(4), rtol=1e-11)


def test_inherited_filters_have_the_widths_that_they_have():
    with pytest.raises(ValueError, match="width='channels' to inherit"):
        orbitconv.convert(TinyResNet(), "c4", example=torch.zeros(1, 3, 9, 9), width="params", weights="inherit")
