import math

import pytest
import torch

from orbitconv.nn import GroupDropout, GroupDropout2d

DROPOUTS = [GroupDropout, GroupDropout2d]


def kept(y: torch.Tensor) -> torch.Tensor:
    return y != 0


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_field_stays_or_goes_at_each_pixel(p):
    x = torch.rand(8, 16, 4, 6, 6, dtype=torch.float64) + 1
    y = GroupDropout(p)(x)
    mask = kept(y[:, :, :1])
    torch.testing.assert_close(y, x * mask / (1 - p), rtol=0, atol=1e-15)
    share = float(mask.double().mean())
    assert abs(share - (1 - p)) < 5 * math.sqrt(p * (1 - p) / mask.numel())
    assert float(mask.double().var((-2, -1)).mean()) > 0.1  # pixels of a channel differ


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_channel_stays_or_goes_as_a_whole(p):
    x = torch.rand(64, 32, 4, 3, 3, dtype=torch.float64) + 1
    y = GroupDropout2d(p)(x)
    mask = kept(y[:, :, :1, :1, :1])
    torch.testing.assert_close(y, x * mask / (1 - p), rtol=0, atol=1e-15)
    assert abs(float(mask.double().mean()) - (1 - p)) < 5 * math.sqrt(p * (1 - p) / mask.numel())


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_does_nothing_in_eval(dropout):
    x = torch.randn(2, 3, 4, 5, 5)
    assert torch.equal(dropout(0.9).eval()(x), x)


@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_refuses_what_is_no_probability(dropout, p):
    with pytest.raises(ValueError, match=rf"{dropout.__name__} expects p between 0 and 1, got {p}"):
        dropout(p)


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_refuses_planar_features(dropout):
    with pytest.raises(ValueError, match=rf"{dropout.__name__} expects input of shape \(batch, channels, group"):
        dropout()(torch.zeros(1, 2, 6, 6))
