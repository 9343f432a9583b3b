"""Conversion of networks of escnn and e2cnn themselves, in the environment of scripts/setup_peers.sh."""

import pytest
import torch
from torch import nn

from orbitconv import interop
from orbitconv.groups import act_image
from orbitconv.interop.fields import read_group
from orbitconv.interop.refusal import Place
from peer_networks import SIDE, SPACES, build, run, train

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # the warnings are the peers' own
# e2cnn gives a second mirror axis the kernels of the first: the recordings have the other one.
CASES = [(library, name) for library in SPACES for name in SPACES[library] if (library, name) != ("e2cnn", "d4-axis-0")]


@pytest.fixture(params=CASES, ids="-".join)
def trained(request):
    """A trained network, as body and head, and the functions for it."""
    library, name = request.param
    pytest.importorskip(f"{library}.nn", reason="sh scripts/setup_peers.sh makes an environment with it")
    body, head = build(library, name)
    train(body, head)
    return library, name, body, head


def test_outputs_are_theirs_and_weights_come_back(trained):
    library, name, body, head = trained
    ours = getattr(interop, f"from_{library}")(nn.Sequential(body, head))
    images = torch.randn(3, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = run(body, head, images)
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=1e-5)
        blank_body, blank_head = build(library, name)
        blank = nn.Sequential(blank_body, blank_head).eval()
        getattr(interop, f"to_{library}")(ours, blank)
        torch.testing.assert_close(run(blank_body, blank_head, images), expected, rtol=0, atol=1e-5)


def test_training_here_reaches_them(trained):
    library, _, body, head = trained
    ours = getattr(interop, f"from_{library}")(nn.Sequential(body, head)).train()
    optimizer = torch.optim.SGD([p for p in ours.parameters() if p.requires_grad], lr=0.05)
    images, labels = torch.randn(8, 3, SIDE, SIDE), torch.arange(8) % 4
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(ours(images), labels).backward()
        optimizer.step()
    ours.eval()
    with torch.no_grad():
        before = run(body, head, images)
        getattr(interop, f"to_{library}")(ours, nn.Sequential(body, head))
        after = run(body, head, images)
        torch.testing.assert_close(after, ours(images), rtol=0, atol=1e-5)
        assert not torch.allclose(after, before, atol=1e-3)


def test_their_elements_move_images_as_ours_do(trained):
    """By their own transformation of a tensor, quarter turns and mirrors."""
    library, _, body, _ = trained
    layers = __import__(f"{library}.nn", fromlist=["nn"])
    group, elements = read_group(Place("test", library, "", body), body.in_type.gspace)
    images = torch.randn(1, 3, 7, 7)
    for g, element in enumerate(elements):
        if 4 * group.rotation_steps[g] % group.num_rotations == 0:
            theirs = layers.GeometricTensor(images, body.in_type).transform(element).tensor
            torch.testing.assert_close(theirs, act_image(images, group, g), rtol=0, atol=1e-5)


@pytest.mark.parametrize("group", ["c4", "c8", "d4", "d8"])
def test_a_basis_filter_of_the_users_is_kept(group):
    """Kernels between regular fields that leave functions out: the basis spans what is there."""
    layers = pytest.importorskip("escnn.nn")
    gspaces = pytest.importorskip("escnn.gspaces")
    space = SPACES["escnn"][group](gspaces)
    fields = layers.FieldType(space, 2 * [space.regular_repr])
    layer = layers.R2Conv(fields, fields, 5, basis_filter=lambda info: info["irrep:frequency"] != 1).eval()
    ours, x = interop.from_escnn(layer), torch.randn(2, 2, space.fibergroup.order(), 9, 9)
    with torch.no_grad():
        theirs = layer(layers.GeometricTensor(x.flatten(1, 2), fields)).tensor
        torch.testing.assert_close(ours(x).flatten(1, 2), theirs, rtol=0, atol=1e-5)
