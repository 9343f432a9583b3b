import numpy as np
import pytest
import torch

from orbitconv.groups import Dihedral, act_features
from orbitconv.nn import GroupBatchNorm2d


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


@pytest.mark.parametrize("training", [True, False])
def test_is_equivariant_to_every_element(training):
    group = Dihedral(4)
    norm = GroupBatchNorm2d(3, affine=True).double().train(training)
    x = torch.randn(2, 3, 8, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        for g in range(8):
            expected = act_features(norm(x), group, g)
            norm_again = GroupBatchNorm2d(3).double().train(training)
            norm_again.load_state_dict(norm.state_dict())
            if training:
                torch.testing.assert_close(norm_again(act_features(x, group, g)), expected, rtol=0, atol=1e-12)
            else:
                torch.testing.assert_close(norm(act_features(x, group, g)), expected, rtol=0, atol=1e-12)


def test_statistics_are_not_kept_apart_for_group_elements():
    norm = GroupBatchNorm2d(1).double()
    x = torch.zeros(2, 1, 2, 3, 3, dtype=torch.float64)
    x[:, :, 1] = 2
    torch.testing.assert_close(norm(x).detach(), (x - 1) / (1 + norm.eps) ** 0.5, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (2, 3), (2, 3, 4, 4, 5, 5)])
def test_refuses_what_is_not_on_a_group(shape):
    with pytest.raises(ValueError, match=r"GroupBatchNorm2d expects input of shape \(batch, 3, group, height, width\)"):
        GroupBatchNorm2d(3)(torch.zeros(shape))
