"""The networks of the study of MLP, learned translations and CNN."""

import torch

from orbitconv.models import count_parameters
from orbitconv.models.digits import digit_cnn, digit_mlp, digit_orbit_cnn
from raising import refuses
from transformations import SIDE, matrix_of

SHIFTS = torch.stack([matrix_of(lambda x, axis=axis: x.roll(1, axis)) for axis in (-2, -1)])


def test_the_order_of_the_pixels_makes_no_difference_to_learned_translations():
    order = torch.randperm(SIDE * SIDE)
    plain = digit_orbit_cnn(SHIFTS, (SIDE, SIDE)).eval()
    first = int((order == 0).nonzero())  # where the pixel in the corner stands
    mixed = digit_orbit_cnn(SHIFTS[:, order][:, :, order], (SIDE, SIDE), first).eval()
    weights = {name: value for name, value in plain.state_dict().items() if not name.startswith("0.layout")}
    assert mixed.load_state_dict(weights, strict=False).unexpected_keys == []
    x = torch.randn(4, 1, SIDE, SIDE)
    torch.testing.assert_close(mixed(x.flatten(2)[..., order].reshape(x.shape)), plain(x))


def test_learned_translations_and_cnn_differ_by_their_first_layer_and_padding_alone():
    ours, cnn = digit_orbit_cnn(SHIFTS, (SIDE, SIDE)), digit_cnn(SIDE)
    assert count_parameters(ours) == count_parameters(cnn)
    assert [tuple(p.shape) for p in ours.parameters()] == [tuple(p.shape) for p in cnn.parameters()]
    assert {m.padding_mode for m in ours.modules() if isinstance(m, torch.nn.Conv2d)} == {"circular"}


def test_sides_that_two_max_pools_do_not_divide_are_refused():
    refuses(ValueError, "divisible by four", digit_cnn, 10)
    refuses(ValueError, "width >= 1", digit_mlp, width=0)
