"""A converted network turns with its input, exactly where the grid does."""

import pytest
import torch

import orbitconv
from orbitconv.groups import parse_group
from orbitconv.testing import assert_equivariant
from plain_networks import TinyConvNeXt, TinyDense, TinyResNet

NETWORKS = {"resnet": (TinyResNet, (3, 13, 13)), "dense": (TinyDense, (2, 10, 10)), "convnext": (TinyConvNeXt, (3, 8, 8))}


def converted(name, group, **options):
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    return orbitconv.convert(build(), group, example=torch.randn(1, *shape), **options).double(), shape


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("group", ["c4", "d4", "c8"])
def test_the_output_is_invariant_before_and_after_a_step(name, group):
    network, shape = converted(name, group)
    x = torch.randn(2, *shape, dtype=torch.float64)
    for _ in range(2):
        assert_equivariant(network, x, parse_group(group), rtol=1e-11)
        output = network(x)
        loss = sum(one.square().mean() for one in (output.values() if isinstance(output, dict) else [output]))
        loss.backward()
        assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
        torch.optim.SGD(network.parameters(), 1e-3).step()
