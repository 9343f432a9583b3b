"""Options reach the layers that they are for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from orbitconv.nn import fold
from plain_networks import Network

X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Squared(nn.Conv2d):
    """A convolution with a forward of its own."""

    def forward(self, x):
        return super().forward(x).square()


def plain_squared(module: Squared) -> nn.Module:
    conv = nn.Conv2d(module.in_channels, module.out_channels, module.kernel_size, padding=module.padding)
    conv.load_state_dict(module.state_dict())
    return conv


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_scores_of_one_channel_are_pooled_as_the_user_says(pool):
    plain = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1)).eval()
    network = orbitconv.convert(plain, "c4", "exact", example=X, pool=pool, weights="inherit").eval()
    with torch.no_grad():
        copies = torch.stack([plain(X.rot90(k, (2, 3))).rot90(-k, (2, 3)) for k in range(4)])
        expected = copies.amax(0) if pool == "max" else copies.mean(0)
        torch.testing.assert_close(network(X), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(fold(network)(X), expected, rtol=0, atol=1e-5)


def test_a_flat_kernel_without_padding_keeps_the_size_of_its_output():
    plain = nn.Sequential(nn.Conv2d(1, 3, (1, 3), padding="valid"), nn.ReLU())
    assert orbitconv.convert(plain, "c4", "exact", example=X)(X).shape == plain(X).shape == (2, 3, 8, 6)


def test_a_module_in_two_places_is_replaced_in_both():
    shared = Squared(4, 4, 3, padding=1)
    plain = nn.Sequential(nn.Conv2d(1, 4, 1), shared, nn.ReLU(), shared)
    network = orbitconv.convert(plain, "c4", "exact", example=X, replace={Squared: plain_squared})
    assert network.network[1] is network.network[3]


def test_compute_that_cannot_be_counted_is_no_width():
    class Branching(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if float(x.sum()) < float("inf") else x

    with pytest.raises(ValueError, match="cannot count the multiply-adds"):
        orbitconv.convert(Branching(nn.Conv2d(1, 4, 3)), "c4", "exact", example=X, width="compute")


def test_a_transposed_convolution_takes_the_wanted_size_by_name():
    layers = {"down": nn.Conv2d(1, 4, 3, 2, 1), "up": nn.ConvTranspose2d(4, 2, 3, 2, 1)}
    plain = Network(lambda s, x: s.up(F.relu(s.down(x)), output_size=x.shape[-2:]), **layers)
    assert orbitconv.convert(plain, "c4", "exact", example=X)(X).shape == (2, 2, 8, 8)


class DropPath(nn.Module):
    """Leave out whole samples while the network trains."""

    def forward(self, x):
        return x * (torch.rand(len(x), 1, 1, 1) < 0.5).to(x) if self.training else x


def test_what_drops_samples_drops_all_group_elements_of_a_sample():
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), DropPath(), nn.Tanh())
    network = orbitconv.convert(plain, "c4", "exact", example=X, output="equivariant").train()
    assert network.report.of("1").kind == "unchanged"
    with torch.no_grad():
        left_out = (network(X.expand(-1, 1, -1, -1).repeat(16, 1, 1, 1)).abs().amax((3, 4)) == 0).flatten(1)
    assert bool((left_out.all(1) == left_out.any(1)).all())
    assert 0 < int(left_out[:, 0].sum()) < len(left_out)


@pytest.mark.parametrize("strided", [nn.MaxPool2d(2), nn.Conv2d(4, 4, 2, 2), nn.AvgPool2d(2, 2)])
def test_antialiasing_exchanges_strides_that_are_exact_and_turns_between_lose_less(strided):
    x = F.avg_pool2d(torch.randn(4, 1, 56, 56, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 9, 1)
    errors = []
    for antialias in (False, True):
        torch.manual_seed(0)
        plain = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), strided, nn.ReLU()).double()
        network = orbitconv.convert(plain, "c8", example=x, antialias=antialias)
        assert network.report.is_exact
        assert list(network.report.exchanged) == ["2"] * antialias
        assert network(x).shape == (4, 4, 24, 24)
        errors.append(orbitconv.check(network, x, "c8").errors[""])
    assert errors[1][1] < 0.9 * errors[0][1]
    assert max(errors[1][::2]) < 1e-12
