"""Planes that come channels last stay so, and no layer copies feature maps into another layout."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic
from orbitconv.models import SmallCNN
from orbitconv.nn import (
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupBlurPool2d,
    GroupConv2d,
    GroupDropout2d,
    GroupMaxPool2d,
    GroupPool,
    LiftingConv2d,
)
from orbitconv.nn.row_statistics import normalize_rows

BATCH = 5  # no other tensor has this length along its first axis
LAYOUTS = pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])


def stack() -> nn.Sequential:
    basis = ExactBasis(Cyclic(4), 3)
    return nn.Sequential(
        LiftingConv2d(3, 4, basis, padding=1), GroupBatchNorm2d(4), nn.ReLU(),
        GroupConv2d(4, 6, basis, padding=1), GroupBatchNorm2d(6), nn.ReLU(), GroupMaxPool2d(2),
        GroupConv2d(6, 4, basis, padding=1), GroupBatchNorm2d(4), nn.ReLU(), GroupBlurPool2d(), GroupDropout2d(0.1),
        GroupConv2d(4, 4, basis, padding=1), GroupBatchNorm2d(4), nn.ReLU(), GroupAvgPool2d((1, 2)),
    )  # fmt: skip


def images(layout: torch.memory_format) -> Tensor:
    return torch.randn(BATCH, 3, 12, 16).contiguous(memory_format=layout)


def copies_of_features(net: nn.Module, x: Tensor) -> list[str]:
    """Operations that copy a feature map, forward and backward."""
    y = net(x)
    upstream = torch.randn(y.shape).as_strided_(y.shape, y.stride())
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        net(x).backward(upstream)
    found = []
    for event in profiled.events():
        shape = event.input_shapes[0] if event.input_shapes else []
        if event.name in {"aten::contiguous", "aten::clone", "aten::copy_"} and len(shape) > 3 and shape[0] == BATCH:
            found.append(f"{event.name} {shape}")
    return found


@LAYOUTS
@pytest.mark.parametrize("training", [True, False])
def test_every_layer_keeps_the_layout(layout, training):
    y = images(layout)
    for layer in stack().train(training):
        y = layer(y)
        assert y.flatten(1, 2).is_contiguous(memory_format=layout), layer
        assert y.flatten(1, 2).data_ptr() == y.data_ptr()  # a view


@LAYOUTS
@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_pooling_the_group_keeps_the_layout(layout, reduction):
    features = stack()(images(layout))
    pooled = GroupPool(reduction)(features)
    assert pooled.is_contiguous(memory_format=layout)
    expected = features.max(2).values if reduction == "max" else features.sum(2) / features.shape[2]
    torch.testing.assert_close(pooled, expected)


@LAYOUTS
@pytest.mark.parametrize("training", [True, False])
def test_no_feature_map_is_copied_forward_or_backward(layout, training):
    assert copies_of_features(stack().train(training), images(layout)) == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"affine": False}, {"momentum": None}, {"track_running_stats": False}, {"eps": 0.1}], ids=str
)
def test_batch_norm_is_the_same_in_both_layouts(training, options):
    norm, other = (GroupBatchNorm2d(3, **options).double().train(training) for _ in range(2))
    results = []
    for layer, layout in ((norm, torch.contiguous_format), (other, torch.channels_last)):
        torch.manual_seed(1)
        seen = []
        for _ in range(2):  # running statistics move twice
            planes = 3 + torch.randn(4, 12, 5, 6, dtype=torch.float64).contiguous(memory_format=layout)
            x = planes.unflatten(1, (3, 4)).requires_grad_()
            y = layer(x)
            y.pow(3).sum().backward()
            seen += [y, x.grad]
        results.append((*seen, *(p.grad for p in layer.parameters()), *layer.buffers()))
    for first, last in zip(*results, strict=True):
        torch.testing.assert_close(first, last, rtol=0, atol=1e-11 * max(1, float(first.detach().abs().max())))


def test_batch_norm_refuses_a_single_number_in_training():
    x = torch.zeros(1, 1, 1, 3).permute(0, 3, 1, 2).unflatten(1, (3, 1))
    for features in (x, x.contiguous()):
        with pytest.raises(ValueError, match="more than"):
            GroupBatchNorm2d(3)(features)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch.jit, in torch.func
def test_derivatives_of_the_normalization_are_those_of_its_formula():
    rows = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    weight, bias = (torch.randn(6, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def normalized(*given: Tensor) -> Tensor:
        return normalize_rows(*given, 3, 1e-5)[0]

    assert torch.autograd.gradcheck(normalized, (rows, weight, bias), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(normalized, (rows, weight, bias))
    batch = torch.randn(2, 5, 6, dtype=torch.float64)
    together = torch.func.vmap(torch.func.grad(lambda x: normalized(x, weight, bias).pow(3).sum()))(batch)
    for x, found in zip(batch, together, strict=True):
        x.requires_grad_()
        torch.testing.assert_close(torch.autograd.grad(normalized(x, weight, bias).pow(3).sum(), x)[0], found)


@pytest.mark.parametrize("mixing", ["dense", "full", "separable"])
def test_a_model_moved_to_channels_last_computes_the_same(mixing):
    model = SmallCNN("spectral-c8-k3", width=2, mixing=mixing).double()
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    x = torch.randn(4, 1, 28, 28, dtype=torch.float64)
    for network, layout in ((model, torch.contiguous_format), (other, torch.channels_last)):
        network(x.contiguous(memory_format=layout)).square().sum().backward()
    for first, last in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(first.grad, last.grad, rtol=0, atol=1e-9 * max(1, float(first.grad.abs().max())))
