"""A folded network computes what the network computes, with torch's own modules only."""

import copy
import functools
import itertools
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv.nn
from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import MODELS, build_model
from orbitconv.nn import (
    BlurPool2d,
    FilteredReLU,
    GroupBatchNorm2d,
    GroupBispectrum,
    GroupConv2d,
    GroupDropout,
    GroupPool,
    GroupRestriction,
    GroupScaleNorm2d,
    GroupTripleCorrelation,
    LiftingConv2d,
    OrbitLinear,
    PairNormReLU,
    SeparableGroupConv2d,
    fold,
    upsample_to,
)
from orbitconv.nn.folding.rules import RULES
from raising import refuses
from references import OPTIONS, images, network, unitary

C4 = functools.partial(ExactBasis, Cyclic(4))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
# Torch says that it pads even kernels on one side only by a copy, as the layers do.
pytestmark = [
    pytest.mark.compile,
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),
]
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float32", "float64"])
SMALL = {
    "all-cnn-c": {"width": 3},
    "p4cnn": {"width": 3, "in_channels": 3},
    "resnet": {"width": 3, "depth": 8},
    "small": {"width": 3, "in_channels": 3},
    "unet": {"width": 3, "depth": 2},
    "wide-resnet": {"width": 3, "depth": 10, "widen": 2},
}


def lived_in(net: nn.Module, *shape: int) -> nn.Module:
    """Running statistics and affine parameters that are not the initial ones."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias)  # no layer is dead
    dtype = next(net.parameters()).dtype
    with torch.no_grad():
        net.train()(torch.randn(4, *shape, dtype=dtype))
    return net.eval()


def assert_folds(net: nn.Module, *inputs: torch.Tensor) -> nn.Module:
    """Equal outputs, relative to the largest, and nothing of the library left."""
    folded = fold(net)
    with torch.no_grad():
        for x in inputs:
            expected = net(x)
            assert expected.std() > 0
            tolerance = TOLERANCE[x.dtype] * float(expected.abs().max())
            torch.testing.assert_close(folded(x), expected, rtol=0, atol=tolerance)
    assert all(type(module).__module__.startswith("torch.") for module in folded.modules())
    assert "orbitconv" not in folded.code
    return folded


def norms(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("basis", [ExactBasis(Dihedral(4), 2), ExactBasis(Cyclic(2), (3, 5))], ids=["2x2", "3x5"])
def test_a_layer_is_one_convolution_of_planes(basis, options):
    lift = LiftingConv2d(2, 4, basis, **options).double()
    conv = GroupConv2d(4, 2, basis, **options).double()
    for layer in (lift, conv):
        if layer.bias is not None:
            nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, 12, 13, dtype=torch.float64)
    y = lift(x)
    for layer, z in ((lift, x), (conv, y)):
        plain = layer.to_conv2d()
        assert type(plain) is nn.Conv2d
        planes = z.flatten(1, -3)
        torch.testing.assert_close(plain(planes), layer(z).flatten(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda: LiftingConv2d(2, 3, "spectral-c8-k5"), lambda: GroupConv2d(2, 3, "spectral-c8-k5")]
)
def test_filters_of_a_plain_convolution_are_rounded_once(make):
    layer = make()
    exact = copy.deepcopy(layer).double().filters()
    assert torch.equal(layer.to_conv2d().weight, exact.float())


@DTYPES
@pytest.mark.parametrize("plain", [False, True], ids=["group", "plain"])
@pytest.mark.parametrize("name", MODELS)
def test_every_network_folds_at_every_size(name, plain, dtype):
    net = build_model(name, None if plain else C4, **SMALL[name]).to(dtype)
    lived_in(net, 3, 32, 32)
    folded = assert_folds(net, *(torch.randn(2, 3, side, side + 1, dtype=dtype) for side in (36, 33)))
    assert len(norms(folded)) == (3 if name == "wide-resnet" else 0)  # there, a norm comes before its convolution


@DTYPES
@pytest.mark.parametrize("basis", [lambda: unitary(Cyclic(8), 3), lambda: ExactBasis(Dihedral(4), 2)])
def test_every_layer_folds_at_even_and_odd_sizes(basis, dtype):
    net = lived_in(network(basis()).to(dtype), 1, 16, 16)
    folded = assert_folds(net, *(torch.randn(2, 1, h, w, dtype=dtype) for h, w in ((16, 16), (17, 24), (12, 15))))
    assert norms(folded) == []


@DTYPES
@pytest.mark.parametrize(
    "invariant", [GroupBispectrum(Cyclic(4)), GroupTripleCorrelation(Cyclic(4)), GroupPool("mean-max")]
)
def test_invariants_and_filtered_nonlinearities_fold_at_every_size(invariant, dtype):
    layers = [
        LiftingConv2d(1, 4, C4(3)), GroupScaleNorm2d(4), FilteredReLU(), GroupConv2d(4, 4, C4(3)), PairNormReLU(4),
    ]  # fmt: skip
    net = lived_in(nn.Sequential(*layers, invariant).to(dtype), 1, 9, 9)
    assert norms(assert_folds(net, *(torch.randn(2, 1, h, w, dtype=dtype) for h, w in ((9, 9), (8, 13))))) == []


def test_there_is_a_rule_for_every_layer():
    layers = [
        value for value in vars(orbitconv.nn).values() if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    assert [layer for layer in layers if layer not in RULES and not getattr(layer, "__abstractmethods__", ())] == []


class Residual(nn.Module):
    """What users write between layers, with a layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.lift = LiftingConv2d(1, 4, C4(3), padding=1)
        self.twice = GroupConv2d(4, 4, C4(3), padding=1, bias=False)
        self.norm = GroupBatchNorm2d(4)
        self.steps = nn.ModuleList([GroupConv2d(8, 4, C4(1)), GroupDropout(0.5)])
        self.restrict = GroupRestriction(Cyclic(4), Cyclic(2))
        self.last = GroupConv2d(8, 3, ExactBasis(Cyclic(2), 3))
        self.head = nn.ModuleDict({"pool": GroupPool("mean")})

    def forward(self, x):
        start = F.relu(self.lift(x))
        y = self.norm(self.twice(start))
        y = torch.relu(self.norm(self.twice(y)) + start)
        y = self.steps[1](self.steps[0](torch.cat([y, start[:, :, :, :]], dim=1)))
        y = F.dropout(self.last(self.restrict(y * y.mean((2, 3, 4), keepdim=True))), 0.5, self.training)
        return self.head["pool"](y).flatten(1).softmax(-1) + y.amax((2, 3, 4)).sum(1, keepdim=True)


@DTYPES
@pytest.mark.parametrize("options", [{}, {"mixing": "separable"}, {"fourier": True, "bias": False}], ids=str)
def test_separable_layers_fold_with_the_batch_norm_after_them(options, dtype):
    layer = SeparableGroupConv2d(2, 3, C4(3), 2, 1, **options)
    net = lived_in(nn.Sequential(LiftingConv2d(1, 2, C4(3)), layer, GroupBatchNorm2d(3)).to(dtype), 1, 9, 9)
    folded = assert_folds(net, torch.randn(2, 1, 9, 8, dtype=dtype))
    assert norms(folded) == []


def test_the_model_stays_as_it_is():
    net = lived_in(Residual(), 1, 9, 9).train()
    before = copy.deepcopy(net.state_dict())
    folded = fold(net)
    with torch.no_grad():
        for tensor in (*folded.parameters(), *folded.buffers()):
            tensor.zero_()
    assert net.training
    assert not any(module.training for module in folded.modules())
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    assert vars(net).keys() == vars(Residual()).keys()


def test_batch_norm_stays_where_another_sees_the_convolution():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift, self.norm = LiftingConv2d(1, 2, C4(3)), GroupBatchNorm2d(2)

        def forward(self, x):
            y = self.lift(x)
            return y + self.norm(y)

    assert len(norms(assert_folds(lived_in(Both(), 1, 8, 8), torch.randn(2, 1, 8, 8)))) == 1


@pytest.mark.parametrize("norm", [GroupBatchNorm2d(2, affine=False), GroupBatchNorm2d(2, track_running_stats=False)])
def test_batch_norm_without_parameters_or_statistics(norm):
    net = lived_in(nn.Sequential(LiftingConv2d(1, 2, C4(3)), norm), 1, 8, 8)
    assert len(norms(assert_folds(net, torch.randn(2, 1, 8, 8)))) == (not norm.track_running_stats)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 3}, {"kernel_size": 3, "padding_mode": "zeros"}, {"filters": "dense"}]
)
@pytest.mark.parametrize("turned", [False, True], ids=["gather", "product"])
@DTYPES
def test_layers_of_learned_groups_fold(options, turned, dtype):
    grid = torch.eye(24, dtype=torch.float64).unflatten(0, (4, 6))
    generators = torch.stack([grid.roll(1, axis).flatten(0, 1) for axis in (0, 1)])
    seed = 0
    if turned:
        rotation = torch.linalg.qr(torch.randn(24, 24, dtype=torch.float64)).Q
        generators, seed = rotation @ generators @ rotation.mT, rotation[:, 0].clone()
    layer = OrbitLinear(2, 3, generators, (4, 6), seed=seed, dtype=dtype, **options)
    assert_folds(layer, torch.randn(5, 2, 4, 6, dtype=dtype))


def test_planar_pooling_and_upsampling_fold_at_every_size():
    class Halve(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = BlurPool2d()

        def forward(self, x):
            return upsample_to(self.pool(x), x.shape[-2:])

    sizes = itertools.product((3, 4, 7, 10), repeat=2)
    assert_folds(Halve(), *(torch.randn(1, 2, h, w, dtype=torch.float64) for h, w in sizes))


def test_a_folded_network_trains_as_a_plain_one():
    folded = fold(lived_in(network(C4(3)), 1, 16, 16))
    x, optimizer = images(8), torch.optim.SGD(folded.parameters(), 0.1)
    losses = []
    for _ in range(5):
        losses.append(F.cross_entropy(folded(x), torch.arange(8) % 3))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in folded.parameters())


LOAD = """
import sys
sys.modules["orbitconv"] = sys.modules["jaxtyping"] = None  # importing them fails
import torch
file, (x, expected) = sys.argv[1], torch.load(sys.argv[2])
if file.endswith("pt2"):
    net = torch.export.load(file).module()
else:
    net = torch.jit.load(file) if file.endswith("ts") else torch.load(file, weights_only=False)
torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-5)
"""


@pytest.mark.filterwarnings("ignore")  # torch's exporters warn about themselves
@pytest.mark.parametrize("suffix", ["pt", "pt2", "ts"])
def test_a_saved_network_loads_where_the_library_is_not(tmp_path, suffix):
    net = build_model("unet", C4, width=1, depth=1)
    folded = fold(lived_in(net, 3, 8, 8))
    x = torch.randn(3, 3, 11, 14)
    file = str(tmp_path / f"net.{suffix}")
    if suffix == "pt":
        torch.save(folded, file)
    elif suffix == "ts":
        torch.jit.save(torch.jit.script(folded), file)
    else:
        any_size = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
        torch.export.save(torch.export.export(folded, (torch.randn(2, 3, 8, 8),), dynamic_shapes=(any_size,)), file)
    torch.save((x, net(x).detach()), tmp_path / "images.pt")
    command = [sys.executable, "-c", LOAD, file, str(tmp_path / "images.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Scaled(nn.Module):
    """A layer of a user, on a basis."""

    def __init__(self):
        super().__init__()
        self.basis = C4(3)

    def forward(self, x):
        return x * self.basis().sum()


class Branching(nn.Module):
    """No graph holds this."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x) if x.shape[-1] > 4 else x


def test_refuses_a_layer_that_it_does_not_know_by_name_and_place():
    net = nn.Sequential(nn.Identity(), nn.Sequential(LiftingConv2d(1, 2, C4(3)), Scaled()))
    refuses(TypeError, r"does not know the layer Scaled \(at 1\.1\).*rules=\{Scaled: function\}", fold, net)
    x = torch.randn(1, 1, 5, 5)
    folded = fold(net, rules={Scaled: lambda _: nn.Sequential(nn.Identity())})
    torch.testing.assert_close(folded(x), net[1][0](x), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*final.*")
def test_refuses_an_heir_of_a_layer_that_computes_something_else():
    class Doubled(GroupPool):
        def forward(self, x):
            return 2 * super().forward(x)

    refuses(TypeError, r"layer Doubled \(at 1\)", lambda: fold(nn.Sequential(LiftingConv2d(1, 2, C4(3)), Doubled())))
    refuses(TypeError, r"layer Doubled \(the model itself\)", lambda: fold(Doubled()))


def test_refuses_a_rule_that_returns_no_module():
    with pytest.raises(TypeError, match=r"rule of Scaled to return a module, got int"):
        fold(nn.Sequential(Scaled()), rules={Scaled: lambda _: 3})


def test_refuses_a_branch_around_layers_and_says_where():
    net = nn.Sequential(nn.ReLU(), Branching(LiftingConv2d(1, 2, C4(3))))
    refuses(ValueError, r"forward of Branching \(at 1\): .*control flow\..*rules=\{Branching: function", fold, net)
    refuses(ValueError, r"forward of Branching \(the model itself\)", fold, net[1])


def test_a_users_own_module_that_branches_stays_whole():
    net = nn.Sequential(LiftingConv2d(1, 2, C4(3)), GroupPool(), nn.Sequential(Branching(nn.Conv2d(2, 2, 1)))).eval()
    folded = fold(net)
    assert [type(module).__name__ for module in folded.modules()].count("Branching") == 1
    for side in (5, 9):  # either way
        x = torch.randn(1, 1, side, side)
        torch.testing.assert_close(folded(x), net(x), rtol=0, atol=1e-6)


class Asking(nn.Module):
    """A network whose forward asks what it holds."""

    def __init__(self, ask):
        super().__init__()
        self.lift, self.ask = LiftingConv2d(1, 2, C4(3), padding=1), ask
        self.deep = GroupConv2d(2, 2, C4(3), padding=1)

    def forward(self, x):
        y = self.lift(x)
        return self.ask(self.deep(y), y)


@pytest.mark.parametrize("ask", [
    lambda x, skip: x + skip if isinstance(skip, torch.Tensor) else x,
    lambda x, skip: x + skip if torch.is_tensor(skip) else x,
    lambda x, skip: x + skip if isinstance(torch.cat([x, skip]), torch.Tensor) else x,
    lambda x, skip: x + skip if isinstance((2 * x).relu().flatten(1), torch.Tensor) else x,
    lambda x, skip: x if isinstance(skip, list | tuple | nn.Parameter) else x + skip,
])  # fmt: skip
def test_branches_on_the_class_of_a_tensor_are_followed(ask):
    assert_folds(Asking(ask), torch.randn(2, 1, 9, 9))


@pytest.mark.parametrize("ask", [
    lambda x, skip: x + skip if isinstance(skip.shape[0], int) else x,
    lambda x, skip: x + skip if isinstance(skip.shape, torch.Size) else x,
    lambda x, skip: x + skip if isinstance(skip.max(2), tuple) else x,
    lambda x, skip: x + skip if torch.is_tensor(skip.split(1)[0]) else x,
])  # fmt: skip
def test_branches_on_a_class_that_is_not_known_are_refused(ask):
    refuses(ValueError, r"fold cannot trace the forward of Asking .*class of a value", lambda: fold(Asking(ask)))


def test_modules_that_ask_and_hold_no_layer_stay_whole():
    class Head(nn.Module):
        def forward(self, x):
            return x.flatten(1) * 2 if isinstance(x.shape[0], int) else x.flatten(1)

    net, x = nn.Sequential(LiftingConv2d(1, 2, C4(3)), Head()), torch.randn(2, 1, 9, 9)
    torch.testing.assert_close(fold(net)(x), net(x))
