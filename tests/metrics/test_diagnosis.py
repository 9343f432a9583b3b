"""`check` names the planted cause, and nothing where there is none."""

import dataclasses
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from orbitconv.bases import ExactBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.metrics import check
from orbitconv.models import SmallCNN
from orbitconv.nn import (
    GroupBatchNorm2d,
    GroupBlurPool2d,
    GroupConv2d,
    GroupConvTranspose2d,
    GroupLayerNorm2d,
    GroupMaxPool2d,
    GroupPool,
    LiftingConv2d,
    fold,
    upsample_to,
)
from raising import refuses

C4, D4 = Cyclic(4), Dihedral(4)


def noise(side: int = 12, channels: int = 1) -> torch.Tensor:
    return torch.randn(2, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def lifted(*layers: nn.Module, width: int = 3, **options) -> nn.Sequential:
    """A lifting layer, others, and a head that is invariant."""
    lift = LiftingConv2d(1, width, ExactBasis(C4, 3), padding=1, **options)
    return nn.Sequential(lift, nn.ReLU(), *layers, GroupPool(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()


class Between(nn.Module):
    """A function between two exact layers."""

    def __init__(self, function, *, planar: bool = False):
        super().__init__()
        self.before = LiftingConv2d(1, 3, ExactBasis(C4, 3), padding=1)
        self.function, self.pool, self.planar = function, GroupPool(), planar

    def forward(self, x):
        y = self.before(x)
        return self.function(self.pool(y)) if self.planar else self.pool(self.function(y))


class Positions(nn.Module):
    """An embedding of places, added to exact features."""

    def __init__(self):
        super().__init__()
        self.lift, self.pool = LiftingConv2d(1, 4, ExactBasis(C4, 3), padding=1), GroupPool()
        self.position = nn.Parameter(torch.randn(1, 144, 4))
        self.mix = nn.Linear(4, 3)

    def forward(self, x):
        tokens = self.pool(self.lift(x)).flatten(2).mT + self.position
        return self.mix(tokens).relu().mean(1)


def conv(*arguments, **options):
    return GroupConv2d(3, 3, ExactBasis(C4, arguments[0]), *arguments[1:], **options)


PLANTED = {
    "stride": (lambda: lifted(conv(3, 2, 1)), 12, "2", "stride 2 with kernel 3 and padding 1 leaves 1 of 12"),
    "even pool on odd sides": (lambda: lifted(GroupMaxPool2d(2)), 13, "2", "leaves 1 of 13 pixels over at one side"),
    "same padding of an even kernel": (lambda: lifted(conv(2, padding="same")), 12, "2", "more on one side"),
    "one-sided pad": (lambda: Between(lambda y: F.pad(y, (0, 1, 0, 1))), 12, "", r"it pads \(0, 1, 0, 1\)"),
    "output padding": (
        lambda: lifted(GroupConvTranspose2d(3, 3, ExactBasis(C4, 3), 2, 1, 1)), 12, "2", r"output_padding=\(1, 1\)",
    ),
    "ceil mode": (
        lambda: Between(lambda y: F.avg_pool2d(y, 2, ceil_mode=True), planar=True), 13, "", "ceil_mode lets its last",
    ),
    "nearest to odd": (
        lambda: Between(lambda y: F.interpolate(y, (23, 23)), planar=True), 12, "", "from 12x12 to 23x23 pixels takes",
    ),
    "flatten": (
        lambda: nn.Sequential(*lifted()[:2], GroupPool(), nn.Flatten(), nn.Linear(432, 2)).double(), 12, "4",
        "reads the 432 features into which Flatten in 3 lays out every place",
    ),
    "position embedding": (lambda: Positions().double(), 12, "", "fixed tensor 'position' of shape"),
    "plain convolution": (
        lambda: nn.Sequential(*lifted()[:2], GroupPool(), nn.Conv2d(3, 2, 3)).double(), 12, "3", "filters do not turn",
    ),
    "weights of places": (
        lambda: nn.Sequential(*lifted()[:2], GroupPool(), nn.LayerNorm((12, 12))).double(), 12, "3", "weight for each",
    ),
    "pixel shuffle": (
        lambda: nn.Sequential(*lifted(width=4)[:2], GroupPool(), nn.PixelShuffle(2)).double(), 12, "3", "lays channels",
    ),
    "shift of the plane": (lambda: Between(lambda y: y.roll(2, -1)), 12, "", "shifts the plane"),
    "crop": (lambda: Between(lambda y: y[..., 1:, 1:]), 12, "", "cuts"),
}  # fmt: skip


def spoiled(net: nn.Module) -> nn.Module:
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


@pytest.mark.parametrize("name", PLANTED)
def test_finds_the_planted_cause_and_no_other(name):
    build, side, path, cause = PLANTED[name]
    report = check(spoiled(build().double()), noise(side), C4)
    assert not report.is_exact
    assert report.error > 1e-3
    (loss,) = report.losses
    assert loss.path == path
    assert re.search(cause, loss.cause), loss.cause
    assert loss.cause in str(report)


@pytest.mark.parametrize("group", [C4, D4, Cyclic(8), Cyclic(2)], ids=str)
def test_exact_networks_have_no_loss(group):
    basis = load_basis("spectral-c8-k3") if group == Cyclic(8) else ExactBasis(group, 3)
    net = nn.Sequential(
        LiftingConv2d(1, 3, basis, padding=1), GroupBatchNorm2d(3), nn.ReLU(inplace=True), GroupBlurPool2d(),
        GroupConv2d(3, 4, basis, padding=1), GroupLayerNorm2d(4), nn.GELU(), GroupConvTranspose2d(4, 2, basis, 2, 1),
        GroupPool(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3),
    ).double()  # fmt: skip
    report = check(net, noise(13), group)
    assert report.losses == ()
    assert report.error < 1e-10
    assert report.is_exact
    assert max(max(layer.errors) for layer in report.layers) < 1e-10


class Flat(nn.Module):
    """A layer on the group, whose features are (batch, channels * |G|, height, width)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.unflatten(1, (-1, 4))).flatten(1, 2)


class FlatNetwork(nn.Module):
    """Features of rank 4: what a converter makes."""

    def __init__(self, between: nn.Module):
        super().__init__()
        self.lift, self.between = LiftingConv2d(1, 6, ExactBasis(C4, 3), padding=1), between
        self.last = Flat(GroupConv2d(6, 3, ExactBasis(C4, 3), padding=1))

    def forward(self, x):
        y = self.last(self.between(self.lift(x).flatten(1, 2)))
        return {"map": y.unflatten(1, (-1, 4)).amax(2), "score": (y.mean((2, 3)).unflatten(1, (-1, 4)).amax(2), 3)}


def uneven_norm() -> nn.Module:
    norm = nn.BatchNorm2d(24)
    nn.init.uniform_(norm.weight)
    return norm


def test_groups_flattened_into_channels_are_read_channel_major():
    report = check(FlatNetwork(Flat(GroupBatchNorm2d(6))).double(), noise(), C4)
    assert report.is_exact
    assert report.losses == ()
    assert report.outputs == {"[map]": "planes", "[score][0]": "invariant"}
    assert {layer.output for layer in report.layers} == {"planes, group at axis 2"}


@pytest.mark.parametrize(("between", "cause"), [
    (uneven_norm, "not the same for all group elements"),
    (lambda: nn.ChannelShuffle(4), "does not turn"),
    (lambda: nn.Conv2d(24, 24, 1), "filters do not turn"),
])  # fmt: skip
def test_what_treats_group_elements_differently_is_found(between, cause):
    report = check(FlatNetwork(between()).double(), noise(), C4)
    (loss,) = report.losses
    assert loss.path == "between"
    assert cause in loss.cause


class ConvNeXtBlock(nn.Module):
    """Channels last, depthwise, a scale for each channel."""

    def __init__(self, weight: nn.Parameter | None):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.LayerNorm(6)
        self.wide, self.act, self.narrow = nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6)
        self.scale = nn.Parameter(torch.rand(6))
        if weight is not None:
            self.depthwise.weight = weight

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.scale * self.narrow(self.act(self.wide(self.norm(y))))).permute(0, 3, 1, 2)


def test_channels_last_blocks_are_followed():
    symmetric = nn.Parameter(torch.tensor([[1.0, 2, 1], [2, 5, 2], [1, 2, 1]]).expand(6, 1, 3, 3).clone())
    report = check(ConvNeXtBlock(symmetric).double(), noise(9, 6), D4)
    assert report.losses == ()
    assert {layer.path: layer.output for layer in report.layers}["wide"] == "channels last"
    assert report.error < 1e-13
    (loss,) = check(ConvNeXtBlock(None).double(), noise(9, 6), D4).losses
    assert loss.path == "depthwise"


class Transformer(nn.Module):
    """Patches, a class token and attention between places."""

    def __init__(self, position: bool):
        super().__init__()
        self.patch, self.first = nn.Conv2d(1, 8, 1), nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.qkv, self.softmax, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Softmax(-1), nn.Linear(8, 8)
        self.position = nn.Parameter(torch.randn(1, 37, 8)) if position else None

    def forward(self, x):
        y = torch.cat([self.first.expand(len(x), -1, -1), self.patch(x).flatten(2).transpose(1, 2)], 1)
        y = y if self.position is None else y + self.position
        q, k, v = self.qkv(self.norm(y)).reshape(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        weights = self.softmax(q @ k.mT / 2)
        return self.out((weights @ v).transpose(1, 2).flatten(2) + y)[:, 0]


def test_transformers_are_followed():
    report = check(Transformer(False).double(), noise(6), D4)
    assert report.losses == ()
    assert {layer.path: layer.output for layer in report.layers}["softmax"] == "attention"
    assert report.error < 1e-12
    (loss,) = check(Transformer(True).double(), noise(6), D4).losses
    assert loss.type == "add"
    assert "'position'" in loss.cause


def test_windows_of_tokens_are_followed():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.mix = nn.LayerNorm(6), nn.Linear(6, 6)

        def forward(self, x):
            b, c, h, w = x.shape
            windows = x.view(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
            y = self.mix(self.norm(windows))
            y = (y @ y.mT).softmax(-1) @ y
            return y.view(b, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w)

    report = check(Windows().double(), noise(8, 6), D4)
    assert report.losses == ()
    assert report.error < 1e-12


def test_a_loss_hides_no_later_one():
    net = nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1), nn.ReLU(), nn.AvgPool2d(2), nn.Upsample((7, 7)), nn.Conv2d(3, 2, 1))
    report = check(net.double(), noise(14), C4)
    assert [loss.path for loss in report.losses] == ["0", "2", "3"]
    assert "and its filters do not turn" in report.losses[0].cause
    assert max(report.layers[-1].errors) < 1e-13


def test_group_axes_are_not_taken_for_planes_behind_a_loss():
    basis = ExactBasis(C4, 3)
    net = nn.Sequential(
        LiftingConv2d(1, 3, basis, 2, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), GroupConv2d(3, 4, basis, 1, 1),
        nn.Flatten(1, 2), nn.MaxPool2d(3, 2, 1), nn.Unflatten(1, (4, 4)), GroupConv2d(4, 2, basis, 1, 1), GroupPool(),
    ).double()  # fmt: skip
    report = check(net, noise(32), C4)
    assert [loss.path for loss in report.losses] == ["0", "1", "4"]
    assert report.layers[4].output == "planes, (c g) at axis 1"


def test_turns_and_mirrors_are_told_apart():
    net = nn.Sequential(LiftingConv2d(1, 3, ExactBasis(C4, 3), padding=1), GroupPool()).double()
    assert check(net, noise(), C4).is_exact
    layers = check(net, noise(), D4).layers
    assert layers[-1].errors[0] < 1e-13
    assert check(net, noise(), D4).elements == (1, 4)
    assert max(check(net, noise(), D4).errors[""][4:]) > 0.1


def test_errors_between_the_exact_angles_are_those_of_the_whole_network():
    net = nn.Sequential(LiftingConv2d(1, 3, load_basis("spectral-c8-k5"), padding=2), GroupPool()).double()
    report, errors = check(net, noise(), Cyclic(8)), orbitconv.metrics.equivariance_error(net, noise(), Cyclic(8))
    torch.testing.assert_close(torch.tensor(report.errors[""], dtype=torch.float64), errors[""], rtol=0, atol=1e-9)
    assert report.degrees == tuple(range(0, 360, 45))
    assert "between" in str(report)


def test_zero_outputs_have_no_error():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).double()
    nn.init.zeros_(net[1].weight)
    report = check(net, noise(), C4)
    assert report.layers[1].errors == (0.0,)
    assert report.error == 0


def test_depth_is_no_group_axis():
    class Volume(nn.Module):
        def forward(self, x):
            return (x[:, :, None] * torch.arange(1.0, 5, dtype=x.dtype)[:, None, None]).cumsum(2).mean(2)

    report = check(Volume(), noise(), C4)
    assert report.losses == ()
    assert report.is_exact


def test_dataclasses_are_outputs_and_one_may_be_chosen():
    @dataclasses.dataclass
    class Output:
        logits: torch.Tensor
        hidden: tuple

    class Net(nn.Module):
        def forward(self, x):
            return Output(x.mean((2, 3)), (x.flip(-1), x[..., 1:]))

    report = check(Net(), noise(), C4)
    assert list(report.errors) == ["[logits]", "[hidden][0]", "[hidden][1]"]
    assert {loss.type for loss in report.losses} == {"flip", "__getitem__"}
    assert check(Net(), noise(), C4, output="logits").is_exact


def test_networks_that_branch_on_values_are_measured_as_a_whole():
    class Branching(nn.Module):
        def forward(self, x):
            return x.relu() if x.argmax() % 2 else x.tanh().abs()

    x = noise()[:1]
    x[0, 0, 0, 1] = 9  # turned, it is at row 10, column 0
    report = check(Branching(), x, C4)
    assert report.layers == ()
    assert "calls other operations for turned images" in str(report)
    assert report.error > 0.1


def test_modes_and_hooks_are_restored_and_the_network_is_left_alone():
    net = lifted(GroupBatchNorm2d(3)).train()
    net[1].eval()
    state, modes = {k: v.clone() for k, v in net.state_dict().items()}, [m.training for m in net.modules()]
    check(net, noise(), C4)
    assert [m.training for m in net.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in state.items())


def test_folded_networks_and_those_of_this_library_are_exact():
    net = SmallCNN(lambda size: ExactBasis(D4, size), width=2).double().eval()
    for one in (net, fold(net)):
        report = check(one, noise(16), D4)
        assert report.losses == ()
        assert report.error < 1e-10


def test_images_that_are_no_squares_turn_by_half():
    report = check(lifted(conv(3, 1, 1)), noise()[..., :9], C4)
    assert report.elements == (2,)
    assert report.is_exact


def test_operations_on_one_axis_after_the_other_are_followed():
    blur = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64).expand(3, 1, 1, 4)

    def separable(y):
        y = F.conv2d(F.conv2d(y, blur, groups=3), blur.mT, groups=3)
        return upsample_to(y[..., ::2, :][..., ::2], (9, 9))

    assert check(Between(separable, planar=True).double(), noise(), C4).losses == ()
    (loss,) = check(Between(lambda y: F.conv2d(y, blur, groups=3), planar=True).double(), noise(), C4).losses
    assert loss.type == "conv2d"


@pytest.mark.parametrize(("images", "group", "message"), [
    (torch.zeros(0, 1, 8, 8), C4, "expects at least one image with values"),
    (torch.zeros(8, 8), C4, "expects at least one image"),
    (torch.zeros(1, 1, 8, 8), Cyclic(3), "no element of C3 but the identity"),
    (torch.zeros(1, 1, 8, 8), Cyclic(1), "no element of C1 but the identity"),
])  # fmt: skip
def test_refuses_what_tells_nothing(images, group, message):
    refuses(ValueError, message, lambda: check(nn.Identity(), images, group))


def test_a_group_has_a_name_and_other_things_are_refused_in_words():
    network = lifted()
    assert check(network, noise(), "c4").errors == check(network, noise(), C4).errors
    refuses(TypeError, "check expects a network", lambda: check(torch.relu, noise(), C4))
    refuses(TypeError, r"check expects a tensor of images .* got list", lambda: check(network, [noise()], C4))


class TwoImages(nn.Module):
    """Two images and a scale, by place or by name."""

    def __init__(self, *, shifted: bool = False):
        super().__init__()
        self.first, self.second = (LiftingConv2d(1, 3, ExactBasis(C4, 3), padding=1) for _ in range(2))
        self.pool, self.shifted = GroupPool(), shifted

    def forward(self, image, other, *, scale=1.0):
        y = self.first(image) + scale * self.second(other)
        return {"mask": self.pool(y.roll(1, -1) if self.shifted else y)}


@pytest.mark.parametrize("shifted", [False, True])
def test_tuples_and_dicts_of_arguments_are_taken(shifted):
    net = TwoImages(shifted=shifted).double()
    for arguments in ((noise(), noise() + 1), {"image": noise(), "other": noise() + 1, "scale": 0.5}):
        report = check(net, arguments, C4)
        assert report.is_exact is not shifted
        assert [loss.type for loss in report.losses] == ["roll"] * shifted
        assert list(report.outputs) == ["[mask]"]


@pytest.mark.parametrize(("arguments", "words"), [
    ((torch.zeros(3), 1.0), "at least one floating-point tensor"),
    ({"image": noise(12), "other": noise(8)}, "one size, which turn together, got 8x8 and 12x12"),
])  # fmt: skip
def test_arguments_without_images_or_of_two_sizes_are_refused(arguments, words):
    refuses(ValueError, words, lambda: check(TwoImages().double(), arguments, C4))


def test_a_network_is_checked_with_the_group_of_its_layers():
    network = nn.Sequential(orbitconv.LiftingConv2d(1, 2, "spectral-c8-k3", padding=1), orbitconv.GroupPool())
    images = torch.randn(2, 1, 8, 8)
    refuses(ValueError, "group of the network's layers, C8, got C4", orbitconv.check, network, images, "c4")
    assert orbitconv.check(network, images, "c8").is_exact


def test_what_fit_gives_is_no_network_but_holds_one():
    images, labels = torch.rand(8, 1, 8, 8), torch.arange(8) % 2
    network = nn.Sequential(orbitconv.LiftingConv2d(1, 2, "exact-c4-k3"), orbitconv.GroupPool(), nn.Flatten(),
                            nn.Linear(72, 2))  # fmt: skip
    fitted = orbitconv.fit(network, (images, labels), epochs=1, batch_size=8)
    refuses(TypeError, r"got TrainedNetwork\. Pass its \.network", orbitconv.check, fitted, images, "c4")
