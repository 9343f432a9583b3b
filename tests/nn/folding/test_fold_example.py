"""With an example, fold follows branches on shapes and types and loops, as the forward goes there."""

import dataclasses

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d, fold
from raising import refuses

C4 = ExactBasis(Cyclic(4), 3)


class Careful(nn.Module):
    """Checks shapes, loops over stand-ins, and returns several things, as the networks of others do."""

    def __init__(self):
        super().__init__()
        self.lift, self.pool, self.head = LiftingConv2d(3, 4, C4, padding=1), GroupPool(), nn.Linear(4, 2)
        self.steps = nn.ModuleList(GroupConv2d(4, 4, C4, padding=1) for _ in range(2))

    def forward(self, image, mask=None, *, scale: float = 2.0, hidden: bool = False):
        b, c, h, w = image.shape
        if c != 3 or image.dim() != 4:
            raise ValueError("channels")
        if not isinstance(image, torch.Tensor) or image.shape[-1] % 4:
            raise ValueError("size")
        y = self.lift(image)
        maps = []
        for i in range(len(self.steps)):
            y = self.steps[i](y).relu()
            maps.append(y)
        y = self.pool(torch.stack(maps).sum(0))
        if y.shape[-2:] != image.shape[-2:]:
            y = y[..., :h, :w]
        if mask is not None:
            y = y * mask
        parts = [part.mean((2, 3)) for part in y.split(2, 1)]
        out = {"logits": scale * self.head(torch.cat(parts, 1)), "tokens": y.reshape(b, -1, h * w)}
        return {**out, "maps": tuple(maps)} if hidden else out


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_branches_on_shapes_and_loops_are_followed_and_shapes_stay_free():
    net, x = Careful().double().eval(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    refuses(ValueError, r"fold cannot trace the forward of Careful .* fold\(model, example=images\)", fold, net)
    folded = fold(net, example=x)
    assert not any(type(m).__module__.startswith("orbitconv") for m in folded.modules())
    for shape in ((2, 3, 8, 8), (5, 3, 12, 16)):
        x = torch.randn(shape, dtype=torch.float64)
        assert_same(folded(x), net(x))


def test_the_folded_network_takes_the_arguments_of_the_example():
    net = Careful().double().eval()
    x, mask = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.rand(8, 8, dtype=torch.float64)
    assert_same(fold(net, example=(x, mask))(x, mask), net(x, mask))
    named = {"image": x, "scale": 3.0, "hidden": True}
    assert_same(fold(net, example=named)(**named), net(**named))
    assert type(net) is Careful
    refuses(TypeError, "unexpected keyword", lambda: fold(net, example=x)(x, mask=mask))


def test_lengths_numbers_and_members_are_answered():
    class Asking(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = LiftingConv2d(1, 2, C4)

        def forward(self, x):
            y = self.lift(x).flatten(1, 2)
            sizes = {"big": y} if len(y.shape) == 4 and 6 in y.shape else {}
            parts = list(y.unbind(1))
            return sizes["big"].mean() * int(y.shape[1]) * float(len(parts)) + parts[-1].sum()

    net, x = Asking().double(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    assert_same(fold(net, example=x)(x), net(x))


def test_branches_on_computed_numbers_are_refused():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = LiftingConv2d(1, 2, C4)

        def forward(self, x):
            return self.lift(x) if x.mean() > 0 else self.lift(-x)

    with pytest.raises(ValueError, match="branches on numbers that it computes from the images"):
        fold(Branching(), example=torch.rand(1, 1, 8, 8))


def test_a_folded_network_that_differs_is_refused():
    wrong = nn.Conv2d(1, 8, 3)
    rules = {LiftingConv2d: lambda _: nn.Sequential(wrong, nn.Unflatten(1, (2, 4)))}
    net = nn.Sequential(LiftingConv2d(1, 2, C4), GroupPool())
    fold(net, rules=rules)
    with pytest.raises(ArithmeticError, match="output differs from that of Sequential on the example"):
        fold(net, rules=rules, example=torch.rand(1, 1, 8, 8))


def test_dataclasses_and_dictionaries_are_outputs():
    @dataclasses.dataclass
    class Output:
        scores: torch.Tensor
        more: list

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = LiftingConv2d(1, 2, C4)

        def forward(self, x):
            y = self.lift(x)
            return Output(y.mean((2, 3, 4)), [y])

    net, x = Net().double(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    found, expected = fold(net, example=x)(x), net(x)
    assert_same(found.scores, expected.scores)
    assert_same(found.more, expected.more)


def test_a_forward_that_gathers_arguments_is_refused():
    class Gathering(nn.Module):
        def forward(self, *images):
            return images[0]

    with pytest.raises(TypeError, match=r"whose arguments have names, got \*images"):
        fold(Gathering(), example=torch.zeros(1, 1, 4, 4))


def test_a_forward_that_fixes_the_number_of_samples_is_refused():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift, self.pool = LiftingConv2d(1, 2, C4), GroupPool()

        def forward(self, x):
            return self.pool(self.lift(x)).reshape(len(x), -1)

    with pytest.raises(ValueError, match=r"other numbers of samples than the 2 of the example.*x.shape\[0\]"):
        fold(Counting(), example=torch.randn(2, 1, 8, 8))
