"""Filters from coefficients, against the definition in a loop."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.nn.products import dense as expansion
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.turning import turning_of

LAST = pytest.mark.parametrize("channels_last", [False, True])


@pytest.fixture(params=["by a table", "in two steps", "by the kernel"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test goes all ways: that of weights as small as these, that of others, and that of a kernel."""
    if request.param == "in two steps":
        monkeypatch.setattr(expansion, "_SMALL_PRODUCT", 0)
    if request.param == "by the kernel":
        request.getfixturevalue("built_kernel")


def sample(
    group: Group, fields: tuple[int, int] = (2, 3), atoms: int = 4, kernel: tuple[int, int] = (3, 2)
) -> tuple[Tensor, Tensor]:
    """Coefficients and atoms, without any structure."""
    coefficients = torch.randn(*fields, group.order, atoms, dtype=torch.float64, requires_grad=True)
    return coefficients, torch.randn(group.order, atoms, *kernel, dtype=torch.float64, requires_grad=True)


@LAST
@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(5), Cyclic(8), Dihedral(3), Dihedral(4)], ids=str)
def test_filters_are_those_of_the_definition(group, channels_last):
    coefficients, atoms = sample(group)
    weight = (
        expand_group(coefficients, atoms, turning_of(group), channels_last).unflatten(0, (2, -1)).unflatten(2, (3, -1))
    )
    for g in range(group.order):
        for m in range(group.order):
            h = int(group.product[g, m])
            expected = sum(coefficients[:, :, m, d, None, None] * atoms[g, d] for d in range(4))
            torch.testing.assert_close(weight[:, g, :, h], expected, rtol=0, atol=1e-13)


@LAST
def test_the_weight_comes_in_the_layout_of_the_planes(channels_last):
    weight = expand_group(*sample(Cyclic(4)), turning_of(Cyclic(4)), channels_last)
    assert weight.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@LAST
@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch's own, where it first takes a forward-mode derivative
@pytest.mark.parametrize("group", [Cyclic(3), Dihedral(2), Dihedral(3)], ids=str)
def test_gradients_of_first_and_second_order_are_those_of_differences(group, channels_last):
    inputs = sample(group, (1, 2), 2, (2, 1))

    def run(coefficients: Tensor, atoms: Tensor) -> Tensor:
        return expand_group(coefficients, atoms, turning_of(group), channels_last)

    assert torch.autograd.gradcheck(run, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(run, inputs)


@LAST
def test_gradients_come_back_from_both_layouts(channels_last):
    """`conv2d` gives the gradient of its weight in the layout of its input."""
    coefficients, atoms = sample(Dihedral(4), kernel=(3, 3))
    planes = torch.randn(2, 24, 6, 7, dtype=torch.float64)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    found = []
    for last, memory_format in ((channels_last, layout), (False, torch.contiguous_format)):
        weight = expand_group(coefficients, atoms, turning_of(Dihedral(4)), last)
        y = F.conv2d(planes.contiguous(memory_format=memory_format), weight)
        found.append(torch.autograd.grad(y.square().sum(), (coefficients, atoms)))
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def test_gradients_for_each_sample_by_vmap():
    coefficients, atoms = (t.detach() for t in sample(Cyclic(4)))
    batch = torch.stack([coefficients, 2 * coefficients])

    def loss(c: Tensor) -> Tensor:
        return expand_group(c, atoms, turning_of(Cyclic(4))).square().sum()

    found = torch.func.vmap(torch.func.grad(loss))(batch)
    torch.testing.assert_close(found[0], torch.func.grad(loss)(coefficients))
    torch.testing.assert_close(found[1], 2 * found[0])


def test_gradients_have_their_shapes_on_meta():
    coefficients, atoms = (t.detach().to("meta").requires_grad_() for t in sample(Cyclic(4)))
    expand_group(coefficients, atoms, turning_of(Cyclic(4))).sum().backward()
    assert (coefficients.grad.shape, atoms.grad.shape) == (coefficients.shape, atoms.shape)
