"""Nonlinearities that alias less, against SciPy, naive loops and torch's own ReLU."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import signal
from torch import nn

from orbitconv.groups import rotate_images
from orbitconv.nn import FilteredReLU, GroupScaleNorm2d, LiftingConv2d, PairNormReLU, fold
from orbitconv.nn.nonlinearities import REACH, half_band_taps
from raising import refuses
from references import turn

SIZES = pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 10), (1, 3)])


@SIZES
def test_filtered_relu_is_resampling_by_polyphase_filters(size):
    """Against `scipy.signal.upfirdn`, on planes whose border was repeated by hand."""
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    taps = half_band_taps().numpy()
    assert len(taps) == 4 * REACH
    assert taps.sum() == pytest.approx(1)

    def filtered(y, axis, up):
        reach = REACH if up == 2 else 2 * REACH - 1
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(y.ndim)]
        y = signal.upfirdn(up * taps, np.pad(y, pad, mode="edge"), up=up, axis=axis)
        return np.take(y, np.arange(4 * REACH - 1, 4 * REACH - 1 + 2 * x.shape[axis], 3 - up), axis)

    y = np.maximum(filtered(filtered(x.numpy(), 2, 2), 3, 2), 0)
    np.testing.assert_allclose(FilteredReLU()(x), filtered(filtered(y, 2, 1), 3, 1), rtol=0, atol=1e-12)


@SIZES
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_filtered_relu_turns_exactly_with_the_grid(size, quarters, mirror):
    x, layer = torch.randn(1, 2, 3, *size, dtype=torch.float64), FilteredReLU()
    turned = layer(turn(x, quarters, mirror=mirror))
    torch.testing.assert_close(turned, turn(layer(x), quarters, mirror=mirror), rtol=0, atol=1e-13)


def test_filtered_relu_commutes_with_turns_between_pixels_better_than_relu():
    noise = torch.randn(4, 1, 48, 48, dtype=torch.float64)
    blur = torch.from_numpy(np.outer(signal.windows.gaussian(9, 1.0), signal.windows.gaussian(9, 1.0)))
    x = F.conv2d(noise, blur[None, None] / blur.sum(), padding=4)

    def error(act):
        turned, then = rotate_images(act(x), 0.5), act(rotate_images(x, 0.5))
        return float((turned - then)[..., 12:-12, 12:-12].square().mean().sqrt())

    assert error(FilteredReLU()) < 0.5 * error(F.relu)


def test_pair_norm_relu_shortens_every_pair():
    layer = PairNormReLU(4, threshold=0.5).double()
    with torch.no_grad():
        layer.threshold.copy_(torch.tensor([0.5, 1.5]))
    x = torch.randn(2, 4, 8, 3, 3, dtype=torch.float64)
    y = layer(x)
    for pair, limit in enumerate((0.5, 1.5)):
        before, after = (torch.complex(z[:, 2 * pair], z[:, 2 * pair + 1]) for z in (x, y))
        expected = torch.polar((before.abs() - limit).clamp(min=0), before.angle())
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(PairNormReLU(4)(x[:, :, 0].float()), PairNormReLU(4)(x.float())[:, :, 0])


def test_scale_norm_divides_by_the_root_mean_square_and_folds_away():
    layer = GroupScaleNorm2d(3).double()
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    x = 2 + torch.randn(4, 3, 8, 5, 5, dtype=torch.float64)
    square = x.square().mean((0, 2, 3, 4))
    w, b, s = (v.reshape(3, 1, 1, 1) for v in (layer.weight, layer.bias, square))
    torch.testing.assert_close(layer(x), w * x / (s + layer.eps).sqrt() + b, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.running_square, 0.9 + 0.1 * square, rtol=0, atol=1e-12)
    layer.eval()
    s = layer.running_square.reshape(3, 1, 1, 1)
    torch.testing.assert_close(layer(x), w * x / (s + layer.eps).sqrt() + b, rtol=0, atol=1e-12)
    network = nn.Sequential(LiftingConv2d(1, 3, "exact-c4-k3"), layer).double().eval()
    folded, image = fold(network), torch.randn(2, 1, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(folded(image), network(image), rtol=0, atol=1e-12)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in folded.modules())


def test_refusals():
    refuses(ValueError, "even number of channels, got 3", PairNormReLU, 3)
    refuses(ValueError, r"batch, 4, \.\.\..*got \(1, 2, 3\)", lambda: PairNormReLU(4)(torch.zeros(1, 2, 3)))
    refuses(ValueError, "height, width", lambda: FilteredReLU()(torch.zeros(3, 3)))
    refuses(ValueError, "momentum above 0", GroupScaleNorm2d, 2, momentum=0)
    refuses(ValueError, r"batch, 2, group", lambda: GroupScaleNorm2d(2)(torch.zeros(1, 3, 4, 5, 5)))
