import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.groups import Dihedral, act_features
from orbitconv.nn import GroupBatchNorm2d, GroupGroupNorm2d, GroupInstanceNorm2d, GroupLayerNorm2d, fold
from raising import refuses


def features() -> torch.Tensor:
    return 3 + 2 * torch.randn(4, 3, 8, 5, 6, dtype=torch.float64)


def test_training_output_has_naive_statistics_of_each_channel():
    norm = GroupBatchNorm2d(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, -1.0, 4.0]))
    x = features()
    y = norm(x).detach().numpy()
    for c in range(3):
        values = x[:, c].numpy().ravel()
        expected = (x[:, c].numpy() - values.mean()) / np.sqrt(values.var() + norm.eps)
        expected = expected * float(norm.weight.detach()[c]) + float(norm.bias.detach()[c])
        np.testing.assert_allclose(y[:, c], expected, rtol=0, atol=1e-12)


def test_running_statistics_move_by_the_momentum_and_serve_in_eval():
    norm = GroupBatchNorm2d(3, momentum=0.25).double()
    x = features()
    norm(x)
    values = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, 0.25 * values.mean(1), rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * values.var(1), rtol=0, atol=1e-12)
    other = features()
    shape = (1, 3, 1, 1, 1)
    expected = (other - norm.running_mean.reshape(shape)) / (norm.running_var.reshape(shape) + norm.eps).sqrt()
    torch.testing.assert_close(norm.eval()(other).detach(), expected, rtol=0, atol=1e-12)


def naive(kind: str, x: np.ndarray, eps: float) -> np.ndarray:
    """Numbers that share their statistics, one set after the other."""
    y = np.empty_like(x)
    batch, channels, _, height, width = x.shape
    if kind == "layer":
        places = [(b, slice(None), slice(None), h, w) for b, h, w in np.ndindex(batch, height, width)]
    else:
        step = 1 if kind == "instance" else 2
        places = [(b, slice(c, c + step)) for b in range(batch) for c in range(0, channels, step)]
    for place in places:
        y[place] = (x[place] - x[place].mean()) / np.sqrt(x[place].var() + eps)
    return y


NORMS = {
    "instance": lambda: GroupInstanceNorm2d(4, affine=True),
    "group": lambda: GroupGroupNorm2d(2, 4),
    "layer": lambda: GroupLayerNorm2d(4),
}
ALL = {"batch": lambda: GroupBatchNorm2d(4), **NORMS}


def scaled(kind: str) -> nn.Module:
    norm = ALL[kind]().double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("kind", NORMS)
def test_norms_of_single_images_have_naive_statistics(kind, last):
    norm, x = scaled(kind), 3 + 2 * torch.randn(2, 4, 8, 5, 6, dtype=torch.float64)
    if last:
        x = x.flatten(1, 2).contiguous(memory_format=torch.channels_last).unflatten(1, (4, 8))
    expected = naive(kind, x.numpy(), norm.eps) * norm.weight.detach().numpy().reshape(4, 1, 1, 1)
    expected += norm.bias.detach().numpy().reshape(4, 1, 1, 1)
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ALL)
def test_is_equivariant_to_every_element(kind, training):
    group, norm = Dihedral(4), scaled(kind).train(training)
    x = torch.randn(2, 4, 8, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        for g in range(8):
            found, expected = norm(act_features(x, group, g)), act_features(norm(x), group, g)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", NORMS)
def test_norms_of_single_images_fold(kind, dtype):
    norm, x = scaled(kind).to(dtype), torch.randn(2, 4, 8, 5, 6, dtype=dtype)
    atol = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 0.1)
    folded = fold(nn.Sequential(norm))
    torch.testing.assert_close(folded(x), norm(x), rtol=0, atol=atol)
    assert not any(type(m).__module__.startswith("orbitconv") for m in folded.modules())


def test_instance_norm_with_running_statistics_folds_to_them():
    norm = GroupInstanceNorm2d(4, affine=True, track_running_stats=True).double()
    norm(3 + torch.randn(4, 4, 8, 5, 6, dtype=torch.float64))
    x = torch.randn(2, 4, 8, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(fold(nn.Sequential(norm))(x), norm.eval()(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 8), (2, 4, 5, 5), (2, 3, 4, 5, 5), (2, 4, 4, 4, 5, 5)])
def test_refuses_what_is_not_on_a_group(kind, shape):
    norm = ALL[kind]()
    message = rf"{type(norm).__name__} expects input of shape \(batch, 4, group, height, width\)"
    refuses(ValueError, message, norm, torch.zeros(shape))
