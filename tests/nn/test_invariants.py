"""Complete invariants over the group axis: invariance, completeness, and the sums they are defined by."""

import itertools

import numpy as np
import pytest
import torch

from orbitconv.groups import Cyclic, Dihedral, act_regular
from orbitconv.models import SmallCNN
from orbitconv.nn import GroupBispectrum, GroupPool, GroupTripleCorrelation
from raising import refuses

INVARIANTS = [
    *(GroupBispectrum(Cyclic(order)) for order in (1, 2, 3, 4, 7, 8, 16)),
    *(GroupTripleCorrelation(group) for group in (Cyclic(1), Cyclic(5), Cyclic(8), Dihedral(1), Dihedral(4))),
]
EACH = pytest.mark.parametrize("layer", INVARIANTS, ids=str)


def signals(order, *lead):
    return torch.randn(*lead, order, 1, 1, dtype=torch.float64)


def undo_scaling(y, eps, *, parts=()):
    """The products before they were scaled: the size of b solves s = r / (r^2 + eps)^(1/3), found by bisection."""
    size = np.abs(y)
    for real, imag in parts:
        size[real] = size[imag] = np.hypot(y[real], y[imag])
    low, high = np.zeros_like(size), np.full_like(size, 1e6)
    for _ in range(200):
        middle = (low + high) / 2
        below = middle * (middle**2 + eps) ** (-1 / 3) < size
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return y * low / np.where(size == 0, 1, size)


@EACH
def test_does_not_change_when_the_group_acts(layer):
    x = torch.randn(2, 3, layer.group.order, 2, 3, dtype=torch.float64)
    y = layer(x)
    assert y.shape == (2, 3 * layer.numbers, 2, 3)
    for g in range(layer.group.order):
        torch.testing.assert_close(layer(act_regular(x, layer.group, g)), y, rtol=0, atol=1e-12)


@EACH
def test_tells_signals_apart_that_no_element_takes_to_each_other(layer):
    if layer.group.order == 1:
        return
    x = signals(layer.group.order, 200, 1)
    y = layer(x).flatten(1)
    nearest = torch.cdist(y, y).fill_diagonal_(torch.inf).min()
    assert nearest > 1e-3


@pytest.mark.parametrize("order", [5, 6, 8])
@pytest.mark.parametrize("kind", [GroupBispectrum, GroupTripleCorrelation])
def test_equal_power_spectra_with_other_phases_are_told_apart(kind, order):
    """A signal and one whose second frequency has another phase; the maximum over an axis would not even do that."""
    x = signals(order, 1, 1)
    spectrum = torch.fft.rfft(x, dim=2)
    spectrum[:, :, 2] *= torch.polar(torch.ones(1, dtype=torch.float64), torch.tensor([0.7]).double())
    if order == 6:  # the third frequency is real
        assert spectrum.shape[2] == 4
    other = torch.fft.irfft(spectrum, order, dim=2)
    power = [torch.fft.rfft(one, dim=2).abs() for one in (x, other)]
    torch.testing.assert_close(*power, rtol=0, atol=1e-12)
    layer = kind(Cyclic(order))
    assert (layer(x) - layer(other)).abs().max() > 1e-2
    torch.testing.assert_close(layer(x.roll(3, 2)), layer(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 5, 8])
def test_a_signal_is_recovered_from_its_bispectrum_up_to_a_shift(order):
    """Frequency by frequency, as the proof of completeness goes; the last equation leaves N phases of the first."""
    x = signals(order, 1, 1)
    eps = 1e-4
    y = GroupBispectrum(Cyclic(order), eps)(x).flatten().numpy()
    steps = (order - 1) // 2
    parts = [(2 + k, 2 + steps + k) for k in range(steps)]
    b = undo_scaling(y, eps, parts=parts)
    f0 = np.cbrt(b[0])
    first = np.sqrt(b[1] / f0)
    pairs = [b[i] + 1j * b[j] for i, j in parts]
    known = np.fft.fft(x.flatten().numpy()) / order
    found = []
    for phase in np.angle(known[1]) + 2 * np.pi * np.arange(order) / order:  # any start would do; these are in phase
        f = [f0, first * np.exp(1j * phase)]
        for pair in pairs:
            f.append(np.conj(pair / (f[1] * f[-1])))
        full = np.array(f[: order // 2 + 1])
        found.append(np.fft.irfft(order * full, order))
    shifts = [np.roll(x.flatten().numpy(), s) for s in range(order)]
    for one in found:
        assert min(np.abs(one - shift).max() for shift in shifts) < 1e-6


@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(3)], ids=str)
def test_triple_correlation_is_the_mean_of_products(group):
    x = signals(group.order, 1, 1)
    layer = GroupTripleCorrelation(group)
    values = {}
    for k, m in itertools.product(range(group.order), repeat=2):
        terms = [x[0, 0, g] * x[0, 0, group.product[g, k]] * x[0, 0, group.product[g, m]] for g in range(group.order)]
        values[k, m] = float(sum(terms) / group.order)
    scaled = [t * (t * t + layer.eps) ** (-1 / 3) for t in (values[pair] for pair in layer.pairs)]
    np.testing.assert_allclose(layer(x).flatten(), scaled, rtol=0, atol=1e-13)
    kept = np.array([values[pair] for pair in layer.pairs])
    assert all(np.abs(kept - value).min() < 1e-13 for value in values.values())  # nothing was left out


@EACH
def test_gradients_are_right_and_finite_at_zero(layer):
    x = torch.randn(1, 1, layer.group.order, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    zero = torch.zeros_like(x, requires_grad=True)
    layer(zero).sum().backward()
    assert zero.grad.isfinite().all()


def test_mean_and_maximum_stand_side_by_side_in_both_layouts():
    x = torch.randn(2, 3, 4, 5, 5)
    y = GroupPool("mean-max")(x)
    torch.testing.assert_close(y, torch.cat([x.mean(2), x.amax(2)], 1))
    last = x.flatten(1, 2).contiguous(memory_format=torch.channels_last).unflatten(1, (3, 4))
    torch.testing.assert_close(GroupPool("mean-max")(last), y)


def test_refusals_say_what_to_do():
    refuses(ValueError, r"expects a cyclic group.*got D4.*GroupTripleCorrelation", GroupBispectrum, Dihedral(4))
    refuses(ValueError, "eps > 0", GroupTripleCorrelation, Cyclic(4), eps=0)
    for layer in (GroupBispectrum(Cyclic(8)), GroupTripleCorrelation(Cyclic(8))):
        refuses(ValueError, r"group axis of length 8 \(C8\).*with 4 at dim 2", layer, torch.zeros(1, 2, 4, 3, 3))
        refuses(ValueError, "batch, channels, group, height, width", layer, torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize(("basis", "pool_group"), [
    ("exact-c4-k3", "mean-max"), ("exact-c4-k3", "bispectrum"), ("exact-c4-k3", "triple-correlation"),
    ("exact-d4-k3", "triple-correlation"), (None, "bispectrum"),
])  # fmt: skip
def test_networks_with_each_pool_are_invariant(basis, pool_group):
    network = SmallCNN(basis, width=2, pool_group=pool_group).double().eval()
    x = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    y = network(x)
    assert y.std() > 0
    if basis is not None:
        torch.testing.assert_close(network(x.rot90(1, (2, 3))), y, rtol=0, atol=1e-12)


def test_a_network_of_mirrors_has_no_bispectrum():
    refuses(ValueError, "expects a cyclic group", SmallCNN, "exact-d4-k3", width=2, pool_group="bispectrum")
    with pytest.raises(ValueError, match=r"pool_group as one of 'max', 'mean'.*got 'sum'"):
        SmallCNN("exact-c4-k3", width=2, pool_group="sum")
