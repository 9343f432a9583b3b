"""A forward that fixes positions is refused, though no layer does; the report tells what moves the centre."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from plain_networks import Network
from raising import refuses

X = torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))


def conv(before: int, after: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, padding=side // 2)


def sliced() -> nn.Module:
    """Four channels by number: in the converted network one channel at four elements."""

    def forward(s, x):
        return s.second(torch.tanh(s.first(x))[:, :4]).mean((2, 3))

    return Network(forward, first=conv(1, 8), second=conv(4, 8))


def value_head(first: nn.Module, places: int) -> nn.Module:
    """One channel, flattened: the value of a board."""

    def forward(s, x):
        return s.value(s.plane(torch.tanh(s.first(x))).flatten(1))

    return Network(forward, first=first, plane=conv(8, 1, 1), value=nn.Linear(places, 3))


# For this stride no size of images near the example is exact.
STRIDED = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.MaxPool2d(2, 1), nn.ConstantPad2d((0, 1, 0, 1), 0.0))


class Coordinates(nn.Module):
    def forward(self, x):
        return torch.cat([x, torch.linspace(-1, 1, x.shape[-1]).to(x).expand_as(x)], 1)


class CoordinateAttention(nn.Module):
    """Gates of rows and of columns, each with weights of its own."""

    def __init__(self):
        super().__init__()
        self.rows, self.columns = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        rows, columns = self.rows(x.mean(3, keepdim=True)), self.columns(x.mean(2, keepdim=True))
        return x * torch.sigmoid(rows) * torch.sigmoid(columns)


class Mirrored(nn.Module):
    """A mirror image of the features, added."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return x + 0.5 * self.mix(x).flip(3)


class Sampled(Mirrored):
    """Pixels moved to the right."""

    def forward(self, x):
        x = self.mix(x)
        shift = torch.tensor([[[1.0, 0.0, 0.3], [0.0, 1.0, 0.0]]]).to(x).expand(len(x), -1, -1)
        grid = F.affine_grid(shift, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


class Means(nn.Module):
    """Rows first, then columns: the mean of all pixels."""

    def forward(self, x):
        return x.mean(3, keepdim=True).mean(2, keepdim=True)


class ZeroConv(nn.Conv2d):
    """Zero at first, as the last layer of a branch is: it commutes with turns until it is trained."""

    def __init__(self):
        super().__init__(8, 8, 3, padding=1)
        nn.init.zeros_(self.weight)

    def forward(self, x):
        return super().forward(x) * 1.0


def chain(*layers: nn.Module, channels: int = 1) -> nn.Module:
    return nn.Sequential(*layers, conv(channels, 8), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(("plain", "path"), [
    (sliced(), "second"),
    (value_head(conv(1, 8), 81), "value"),
    (value_head(STRIDED, 25), "value"),
    (chain(Coordinates(), channels=2), "0"),
    (chain(conv(1, 8), nn.Tanh(), ZeroConv(), channels=8), "2"),
])  # fmt: skip
def test_what_fixes_positions_is_refused_by_its_path(plain, path):
    refuses(ValueError, f"'{path}'", orbitconv.convert, plain, "c4", "exact", example=X)
    kept = orbitconv.convert(plain, "c4", "exact", example=X, strict=False)
    assert not kept.report.is_exact
    assert kept.report.exact_sizes == ()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("part", [CoordinateAttention, Mirrored, Sampled])
def test_functions_that_fix_directions_are_refused_behind_strides_too(part, stride):
    first = [nn.Conv2d(1, 8, 3, stride, 1), nn.Tanh(), nn.MaxPool2d(2, 2, 1), part()]
    plain = nn.Sequential(*first, conv(8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = X[..., :8, :8]
    refuses(ValueError, r"convert cannot keep the turn at '3", orbitconv.convert, plain, "c4", "exact", example=x)
    kept = orbitconv.convert(plain, "c4", "exact", example=x, strict=False).report
    assert any(loss.path.startswith("3") for loss in kept.lost)


def test_a_mean_of_rows_then_of_columns_is_exact():
    report = orbitconv.convert(nn.Sequential(conv(1, 8), nn.Tanh(), Means(), conv(8, 2, 1)), "c4", example=X).report
    assert report.is_exact


@pytest.mark.parametrize(("group", "exact"), [("c2", True), ("d2", True), ("c4", False)])
@pytest.mark.parametrize(
    "part", [nn.AvgPool2d((1, 3), 1, (0, 1)), nn.AdaptiveAvgPool2d((None, 1)), nn.Conv2d(8, 8, 3, (1, 2), 1)]
)
def test_what_treats_rows_otherwise_than_columns_keeps_half_turns(part, group, exact):
    plain = nn.Sequential(conv(1, 8), nn.Tanh(), part, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = orbitconv.convert(plain, group, "exact", example=X)
    assert network.report.is_exact is exact
    assert orbitconv.check(network.double(), X.double(), group).is_exact is exact
    assert ("Half turns are exact" in str(network.report)) is exact


def resized(**options) -> nn.Module:
    def forward(s, x):
        return torch.tanh(F.interpolate(s.first(x), **options)).square().mean((2, 3))

    return Network(forward, first=conv(1, 4))


@pytest.mark.parametrize(("plain", "exact"), [
    (resized(size=3, mode="nearest"), False),
    (resized(size=3, mode="nearest-exact"), True),
    (resized(scale_factor=2, mode="nearest"), True),
    (resized(scale_factor=1.5, mode="bilinear"), False),
    (resized(scale_factor=1.5, mode="bicubic", recompute_scale_factor=True), True),
    (resized(size=13, mode="bilinear"), True),
    (chain(conv(1, 1), nn.MaxPool2d((1, 3), 1, (0, 1))), False),
    (chain(conv(1, 1), nn.AdaptiveAvgPool2d((None, 1))), False),
    (chain(nn.Conv2d(1, 1, 3, (1, 2), 1)), False),
    (chain(nn.Conv2d(1, 1, (1, 3), padding=(0, 1))), True),
    (chain(conv(1, 1), nn.AdaptiveAvgPool2d(4)), True),
])  # fmt: skip
def test_the_report_says_which_operations_keep_a_quarter_turn(plain, exact):
    network = orbitconv.convert(plain, "c4", "exact", example=X).double().eval()
    assert network.report.is_exact is exact
    with torch.no_grad():
        upright, turned = (network(one) for one in (X.double(), X.double().rot90(1, (2, 3))))
    assert (float((upright - turned).abs().max()) < 1e-12) is exact


def test_sizes_at_which_scores_become_scores_of_places_are_not_promised():
    layers = {"first": nn.Conv2d(1, 8, 3, 2, 1), "head": nn.AvgPool2d(4, 1), "score": nn.Conv2d(8, 2, 1)}
    plain = Network(lambda s, x: s.score(s.head(torch.tanh(s.first(x)))).flatten(1), **layers)
    report = orbitconv.convert(plain, "c4", "exact", example=X[..., :8, :8]).report
    assert report.exact_sizes == (7,)
