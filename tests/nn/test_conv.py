"""Arguments, refusals and what the two layers share."""

import itertools
import warnings

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis, FilterBasis, HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupConv2d, LiftingConv2d, SeparableGroupConv2d, keeps_centre
from raising import refuses
from references import FAMILIES

LAYERS = [LiftingConv2d, GroupConv2d]
C4 = ExactBasis(Cyclic(4), 3)


def example(layer, size: int = 6, **options) -> torch.Tensor:
    group = (layer.group.order,) if isinstance(layer, GroupConv2d) else ()
    return torch.randn(2, layer.in_channels, *group, size, size, **options)


CENTRES = [
    (size, kernel_size, stride, padding, dilation)
    for size, kernel_size, stride, padding, dilation in itertools.product(
        range(1, 12), [1, 2, 3, 5], [1, 2, 3], [0, 1, 2], [1, 2]
    )
    if size + 2 * padding > dilation * (kernel_size - 1)
]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
def test_keeps_centre_says_where_reversing_commutes(kernel_size, stride):
    for case in CENTRES:
        if case[1:3] == (kernel_size, stride):
            check_keeps_centre(*case)


def check_keeps_centre(size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
    conv = nn.Conv1d(1, 1, kernel_size, stride, 0, dilation, bias=False, dtype=torch.float64)
    reverse = nn.Conv1d(1, 1, kernel_size, stride, 0, dilation, bias=False, dtype=torch.float64)
    with torch.no_grad():
        conv.weight.uniform_(1, 2)
        reverse.weight.copy_(conv.weight.flip(-1))
        x = torch.rand(1, 1, size + 2 * padding, dtype=torch.float64)  # values in the padding too, to tell where it is
        commutes = torch.allclose(reverse(x.flip(-1)), conv(x).flip(-1), rtol=0, atol=1e-12)
    assert keeps_centre(size, kernel_size, stride=stride, padding=padding, dilation=dilation) == commutes


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kernel_size", [2, (3, 5), 4])
def test_same_padding_keeps_every_size(layer, kernel_size):
    for dilation in (1, 2):
        conv = layer(1, 1, ExactBasis(Cyclic(2), kernel_size), padding="same", dilation=dilation)
        assert conv(example(conv, 9)).shape == (2, 1, 2, 9, 9)


def test_same_padding_is_that_of_torch():
    conv = LiftingConv2d(1, 1, ExactBasis(Cyclic(1), 4), padding="same").double()
    plain = nn.Conv2d(1, 1, 4, padding="same", dtype=torch.float64)
    with torch.no_grad():
        plain.weight.copy_(conv.coefficients.reshape(1, 1, 4, 4))
        plain.bias.copy_(conv.bias)
    x = example(conv, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")  # torch's own, once
        expected = plain(x)
    torch.testing.assert_close(conv(x)[:, :, 0], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("layer", LAYERS)
def test_dtype_and_device_arguments(layer):
    conv = layer(2, 4, C4, dtype=torch.float64)
    assert {p.dtype for p in conv.parameters()} == {torch.float64}
    assert conv(example(conv, dtype=torch.float64)).dtype == torch.float64
    assert all(p.is_meta for p in layer(2, 4, C4, device="meta").state_dict().values())
    torch.set_default_dtype(torch.float64)
    try:
        assert layer(2, 4, C4).coefficients.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("arguments", "options", "error", "message"), [
    ((0, 4, C4), {}, ValueError, "expects in_channels >= 1, got 0"),
    ((2, -1, C4), {}, ValueError, "expects out_channels >= 1, got -1"),
    ((2.0, 4, C4), {}, TypeError, "expects in_channels to be an integer, got 2.0"),
    ((2, True, C4), {}, TypeError, "expects out_channels to be an integer, got True"),
    ((2, 4, 3), {}, TypeError, r"expects a FilterBasis.* as third argument, got int.*ExactBasis\(Cyclic\(4\)"),
    ((2, 4, C4), {"groups": 0}, ValueError, "expects groups >= 1, got 0"),
    ((3, 4, C4), {"groups": 2}, ValueError, "groups to divide in_channels and out_channels, got groups=2"),
    ((4, 3, C4), {"groups": 2}, ValueError, "groups to divide in_channels and out_channels, got groups=2"),
    ((2, 4, C4), {"stride": 0}, ValueError, r"expects stride\[0\] >= 1, got 0"),
    ((2, 4, C4), {"stride": (1, 2, 3)}, ValueError, "expects stride as one integer or a pair"),
    ((2, 4, C4), {"dilation": 0}, ValueError, r"expects dilation\[0\] >= 1, got 0"),
    ((2, 4, C4), {"padding": -1}, ValueError, "expects padding of zero or more pixels.*got -1"),
    ((2, 4, C4), {"padding": 1.5}, ValueError, "expects padding of zero or more pixels.*got 1.5"),
    ((2, 4, C4), {"padding": True}, ValueError, "expects padding of zero or more pixels.*got True"),
    ((2, 4, C4), {"padding": (1, 2, 3)}, ValueError, "expects padding of zero or more pixels"),
    ((2, 4, C4), {"padding": "full"}, ValueError, "expects padding in pixels, 'same' or 'valid', got 'full'"),
    ((2, 4, C4), {"padding": "same", "stride": 2}, ValueError, "padding='same' with stride 1 only"),
    ((2, 4, C4), {"padding_mode": "wrap"}, ValueError, "expects padding_mode 'zeros'.*got 'wrap'"),
])  # fmt: skip
def test_refuses_bad_arguments(layer, arguments, options, error, message):
    refuses(error, f"{layer.__name__} .*{message}", layer, *arguments, **options)


def test_refuses_a_basis_without_atoms():
    empty = HarmonicBasis(Cyclic(8), 3).to("meta").to_empty(device="cpu")
    refuses(ValueError, r"expects a basis of finite atoms.*meta device has no atoms", LiftingConv2d, 1, 1, empty)


@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (2, 6, 6), (2, 2, 4, 6, 6)])
def test_lifting_refuses_other_shapes(shape):
    hint = " It is on a group already: use GroupConv2d." if len(shape) == 5 else ""
    message = rf"LiftingConv2d expects input of shape \(batch, 2, height, width\), got .*\).{hint}"
    refuses(ValueError, message, lambda: LiftingConv2d(2, 4, C4)(torch.zeros(shape)))


@pytest.mark.parametrize(
    ("layer", "owner"), [(GroupConv2d, "GroupConv2d"), (SeparableGroupConv2d, "DepthwiseGroupConv2d")]
)
@pytest.mark.parametrize(("shape", "message"), [
    ((2, 2, 6, 6), r"expects input of shape \(batch, 2, 4, height, width\), got \(2, 2, 6, 6\). Lift planar"),
    ((2, 2, 8, 6, 6), r"expects a group axis of length 4 \(C4\), got input of shape .* with 8 at dim 2. Lift"),
    ((2, 3, 4, 6, 6), r"expects 2 channels at dim 1, got input of shape \(2, 3, 4, 6, 6\)"),
])  # fmt: skip
def test_layers_on_a_group_refuse_other_shapes(layer, owner, shape, message):
    refuses(ValueError, f"{owner} {message}", lambda: layer(2, 4, C4)(torch.zeros(shape)))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_refuses_input_of_another_dtype(layer, dtype):
    conv = layer(2, 4, C4)
    with pytest.raises(TypeError, match=rf"{layer.__name__} expects input of its own dtype torch.float32, got {dtype}"):
        conv(example(conv, dtype=dtype))


class TrainableBasis(FilterBasis):
    """A basis that learns: its atoms are a parameter."""

    def __init__(self) -> None:
        super().__init__(Cyclic(4), 3)
        self.atoms = nn.Parameter(torch.randn(4, 5, 3, 3))

    @property
    def num_atoms(self) -> int:
        return 5

    def forward(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        return self.atoms.to(dtype or self.atoms.dtype)


def test_a_basis_that_trains_stays_shared_and_gets_gradients():
    basis = TrainableBasis()
    lift, conv = LiftingConv2d(1, 2, basis, padding=1), GroupConv2d(2, 2, basis, padding=1)
    assert lift.basis is basis
    assert conv.basis is basis
    conv(lift(example(lift))).square().mean().backward()
    assert basis.atoms.grad.abs().min() > 0


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_finite_output_and_gradient(layer, name):
    conv = layer(2, 2, FAMILIES[name](), padding=2)
    y = conv(example(conv))
    assert y.shape[:3] == (2, 2, conv.group.order)
    y.square().mean().backward()
    assert torch.isfinite(conv.coefficients.grad).all()
    assert (conv.coefficients.grad != 0).any()
