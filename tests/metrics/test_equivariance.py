import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis
from orbitconv.groups import Cyclic, Dihedral, parse_group
from orbitconv.hexagonal import to_hexagonal
from orbitconv.metrics import equivariance_error
from orbitconv.models import SmallCNN
from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d
from references import network, smooth_images, transform

C8 = Cyclic(8)


def exact(group) -> nn.Sequential:
    basis = ExactBasis(group, 3)
    return nn.Sequential(
        LiftingConv2d(1, 3, basis, padding=1),
        nn.ReLU(),
        GroupConv2d(3, 2, basis, padding=1),
        GroupPool(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).double()


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)).double()


@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(4), Cyclic(2)], ids=str)
def test_exact_network_has_no_error_in_any_layer(group, smooth):
    errors = equivariance_error(exact(group), smooth[:4], group)
    assert list(errors) == ["0", "1", "2", "3", "4", "5", ""]
    for error in errors.values():
        assert error.shape == (group.order,)
        assert error.max() < 1e-13


def test_layers_inside_blocks_are_found_and_weights_are_no_layers(smooth):
    convolution = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3))
    net = nn.Sequential(nn.Sequential(convolution, nn.ReLU()), LiftingConv2d(2, 2, ExactBasis(Cyclic(4), 3))).double()
    assert list(equivariance_error(net, smooth[:2], Cyclic(4))) == ["0.0", "0.1", "1", ""]


def test_learned_angles_err_between_the_quarters(smooth):
    net = nn.Sequential(LiftingConv2d(1, 3, BilinearBasis(C8, 3), padding=1)).double()
    error = equivariance_error(net, smooth[:4], C8)["0"]
    assert error[::2].max() < 1e-13
    assert error[1::2].min() > 0.05


def test_plain_network_errs_a_lot(smooth):
    error = equivariance_error(plain(), smooth[:4], Cyclic(4))[""]
    assert error[0] == 0
    assert error[1:].min() > 0.3


def test_error_is_the_relative_distance_inside_the_disc(smooth):
    layer = LiftingConv2d(1, 2, BilinearBasis(C8, 3), padding=1).double()
    x = smooth[:3]
    found = equivariance_error(layer, x, C8, elements=[1, 3])[""]
    rows, cols = np.indices((24, 24)) - 11.5
    disc = np.hypot(rows, cols) <= 12
    with torch.no_grad():
        y = layer(x).numpy()
        for slot, g in enumerate((1, 3)):
            turned = np.stack([transform(image, C8, g, order=3)[None] for image in x[:, 0].numpy()])
            after = layer(torch.from_numpy(turned)).numpy()
            expected = np.empty_like(y)
            for b, o, h in np.ndindex(y.shape[:3]):
                expected[b, o, (h + g) % 8] = transform(y[b, o, h], C8, g, order=3, mode="mirror")
            error = np.linalg.norm((after - expected) * disc) / np.linalg.norm(expected * disc)
            assert float(found[slot]) == pytest.approx(error, rel=1e-10)


def test_what_has_no_plane_is_compared_as_it_is(smooth):
    net = nn.Sequential(plain(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = smooth[:4]
    found = equivariance_error(net, x, Cyclic(4), elements=[1])["2"]
    with torch.no_grad():
        y, after = net(x), net(torch.rot90(x, 1, (-2, -1)))
    assert float(found) == pytest.approx(float((after - y).norm() / y.norm()), rel=1e-10)


def test_modes_are_restored_and_hooks_removed(smooth):
    net = network(ExactBasis(Cyclic(4), 3)).double()
    net.train()
    net[1].eval()
    modes = [m.training for m in net.modules()]
    state = {key: value.clone() for key, value in net.state_dict().items()}
    equivariance_error(net, smooth[:2], Cyclic(4))
    assert [m.training for m in net.modules()] == modes
    assert not any(m._forward_hooks for m in net.modules())
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in state.items())


def test_modes_and_hooks_are_restored_after_a_failure(smooth):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(7, 2)).train()
    with pytest.raises(RuntimeError):
        equivariance_error(net, smooth[:2].float(), Cyclic(4))
    assert net.training
    assert not any(m._forward_hooks for m in net.modules())


def test_in_place_layers_do_not_change_what_was_measured(smooth):
    net = nn.Sequential(LiftingConv2d(1, 3, ExactBasis(Cyclic(4), 3)), nn.ReLU(inplace=True)).double()
    separate = nn.Sequential(net[0], nn.ReLU())
    before, after = (equivariance_error(n, smooth[:2], Cyclic(4), layers=["0"], elements=[1]) for n in (net, separate))
    assert torch.equal(before["0"], after["0"])
    assert before["0"] < 1e-13


def test_refuses_unknown_layers(smooth):
    with pytest.raises(ValueError, match="equivariance_error knows no layer 'head'; named_modules lists"):
        equivariance_error(plain(), smooth[:2], Cyclic(4), layers=["0", "head"])


def test_refuses_networks_without_comparable_output(smooth):
    net = nn.Sequential(nn.Flatten(0))
    with pytest.raises(ValueError, match="found no layer whose output is a tensor of rank 2, 4 or 5"):
        equivariance_error(net, smooth[:2], Cyclic(4))


class ChannelsLast(nn.Module):
    """LayerNorm, Linear and GELU on (batch, height, width, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 3))

    def forward(self, x):
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


def test_channels_last_layers_are_read_as_such():
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    errors = equivariance_error(ChannelsLast().double(), x, Cyclic(4))
    assert {errors.readings[f"body.{i}"] for i in range(4)} == {"channels last"}
    assert max(float(error.max()) for error in errors.values()) < 1e-13


def test_attention_between_places_turns_on_both_axes():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Softmax(-1)

        def forward(self, x):
            tokens = x.flatten(2).mT[:, None]
            return (self.weights(tokens @ tokens.mT) @ tokens)[:, 0].mT.unflatten(2, x.shape[2:])

    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    errors = equivariance_error(Attention(), x, Dihedral(4))
    assert errors.readings["weights"] == "attention"
    assert max(float(error.max()) for error in errors.values()) < 1e-12


@pytest.mark.parametrize("depth", [4, 6])
def test_a_depth_is_no_group_axis(depth):
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Conv3d(1, 2, (3, 1, 1), padding=(1, 0, 0))

        def forward(self, x):
            slices = x[:, :, None] * torch.arange(1.0, depth + 1, dtype=x.dtype)[:, None, None]
            return self.scale(slices).mean(2)

    errors = equivariance_error(Volume().double(), torch.randn(2, 1, 6, 6, dtype=torch.float64), Cyclic(4))
    assert errors.readings["scale"] == "planes"
    assert float(errors["scale"].max()) < 1e-13


def test_zero_outputs_have_no_error(smooth):
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)).double()
    nn.init.zeros_(net[1].weight)
    assert not equivariance_error(net, smooth[:2], Cyclic(4))["1"].any()


def test_outputs_of_several_tensors_are_reported_by_place_or_chosen(smooth):
    class Two(nn.Module):
        def forward(self, x):
            return {"planes": x, "up": (x.flip(-1), x.mean((1, 2, 3))[:, None])}

    errors = equivariance_error(Two(), smooth[:2], Cyclic(4), elements=[1])
    assert list(errors) == ["[planes]", "[up][0]", "[up][1]"]
    assert float(errors["[planes]"]) == 0
    assert float(errors["[up][0]"]) > 0.1
    for chosen in ("planes", lambda output: output["planes"]):
        assert float(equivariance_error(Two(), smooth[:2], Cyclic(4), elements=[1], output=chosen)[""]) == 0
    with pytest.raises(ValueError, match=r"no output 'logits' in dict; its tensors are \[planes\], \[up\]\[0\]"):
        equivariance_error(Two(), smooth[:2], Cyclic(4), output="logits")


def test_errors_name_the_types_of_layers_and_print_as_a_table(smooth):
    errors = equivariance_error(exact(Cyclic(4)), smooth[:2], Cyclic(4))
    assert errors.types["2"] == "GroupConv2d"
    lines = str(errors).splitlines()
    assert lines[3].split()[:3] == ["2", "GroupConv2d", "group"]
    assert lines[-1].startswith("(network)")


def test_autocast_changes_nothing(smooth):
    x = smooth[:2].float()
    net = plain().float()
    outside = equivariance_error(net, x, Cyclic(4))[""]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(equivariance_error(net, x, Cyclic(4))[""], outside)


def test_norms_do_not_overflow_16_bits():
    x = 200 + 50 * torch.randn(1, 1, 360, 360)
    layer = nn.Conv2d(1, 1, 3, padding=1)
    expected = equivariance_error(layer, x, Cyclic(4), elements=[1])[""]
    found = equivariance_error(layer.half(), x.half(), Cyclic(4), elements=[1])[""]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0)


class Ramp(nn.Module):
    """Adds what stays where it is: an embedding of places."""

    def forward(self, x):
        return x + torch.linspace(-9, 9, x.shape[2], dtype=x.dtype)[:, None]


def test_a_reading_that_nothing_tells_is_marked():
    errors = equivariance_error(Ramp(), torch.randn(2, 5, 5, 5, dtype=torch.float64), Cyclic(4))
    assert errors.ambiguous == {""}
    assert "planes?" in str(errors)


def test_layers_of_known_type_and_those_of_their_shape_are_not_ambiguous(smooth):
    errors = equivariance_error(nn.Sequential(*plain()[:1], nn.Tanh()), smooth[:2], Cyclic(8), elements=[1])
    assert errors["1"] > 0.1
    assert not errors.ambiguous
    for channels, ambiguous in ((5, {""}), (7, {"body.1", ""})):  # a cube could be either
        net = ChannelsLast()
        net.body = nn.Sequential(nn.Linear(3, channels), Ramp())
        errors = equivariance_error(net.double(), torch.randn(2, 3, 7, 7, dtype=torch.float64), Cyclic(4))
        assert errors.ambiguous == ambiguous
    assert errors.readings["body.0"] == "channels last"


@pytest.mark.parametrize("images", [torch.zeros(0, 1, 8, 8), torch.zeros(2, 1, 8, 8, device="meta")])
def test_refuses_what_holds_no_values(images):
    with pytest.raises(ValueError, match="expects at least one image with values"):
        equivariance_error(nn.Identity(), images, Cyclic(4))


@pytest.mark.parametrize("name", ["c6", "d6"])
def test_networks_on_hexagons_are_measured_on_their_lattice(name):
    network, group = SmallCNN(f"hexagonal-exact-{name}-k3", width=2).double(), parse_group(name)
    images = to_hexagonal(smooth_images(count=2, size=16))
    behind = torch.nn.Sequential(network.features[1:], network.pool)
    errors = equivariance_error(behind, images, group)
    assert set(errors.readings.values()) == {"group on hexagons", "hexagons"}
    assert max(float(error.max()) for error in errors.values()) < 1e-12
    of_pictures = equivariance_error(network, smooth_images(count=2, size=16), group, elements=[3])
    assert max(float(error.max()) for error in of_pictures.values()) < 1e-12
    assert equivariance_error(behind, images, Cyclic(12), layers=["1"], elements=[1])["1"].max() > 1e-3


def test_the_order_of_the_elements_is_kept(smooth):
    net = plain()
    whole = equivariance_error(net, smooth[:2], C8)[""]
    some = equivariance_error(net, smooth[:2], C8, elements=[3, 0, 2])[""]
    torch.testing.assert_close(some, whole[[3, 0, 2]], rtol=0, atol=0)
