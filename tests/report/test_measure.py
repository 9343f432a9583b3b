"""What is measured on networks, against loops over single images and quarter turns of the pixels."""

import pytest
import torch

from digits import small_digits
from orbitconv.bases import ExactBasis
from orbitconv.data import rotated
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import SmallCNN
from orbitconv.report.filters import first_filters
from orbitconv.report.measure import convolution_errors, measure_networks, steps
from orbitconv.report.mistakes import judge

IMAGES = small_digits(60, "test")


def network(basis=None):
    return SmallCNN(basis, width=3, kernel_size=3).eval()


def wrong(net, images):
    with torch.no_grad():
        return sum(int(net(x[None]).argmax() != label) for x, label in zip(images, IMAGES.labels, strict=True))


def test_errors_are_those_of_single_images_at_every_angle():
    nets, done = [network(), network(ExactBasis(Cyclic(4), 3))], []
    found = measure_networks(nets, IMAGES, (0, 90, 180), lambda: done.append(1))
    assert len(done) == steps(2, 3)
    for net, one in zip(nets, found, strict=True):
        for degrees in (0, 90, 180):
            turned = torch.rot90(IMAGES.floats(), degrees // 90, (2, 3))
            assert one.by_angle[degrees] == pytest.approx(100 * wrong(net, turned) / 60, abs=1e-9)
        assert one.error == one.by_angle[0]
        assert one.random_error == pytest.approx(100 * wrong(net, rotated(IMAGES, 1).images) / 60, abs=1e-9)
        assert one.parameters == sum(p.numel() for p in net.parameters())
    assert (found[0].group, found[1].group) == (None, Cyclic(4))
    assert found[1].by_angle[90] == found[1].by_angle[0]


def test_images_that_are_turned_already_are_not_turned_again():
    done = []
    (found,) = measure_networks([network()], IMAGES, (), lambda: done.append(1))
    assert (found.random_error, found.by_angle, len(done)) == (None, {}, steps(1, 0))


@torch.no_grad()
def test_layers_are_compared_with_quarter_turns_of_their_planes():
    net, images = network().double(), IMAGES.floats().double()[:5]
    errors = convolution_errors(net, images)
    assert list(errors) == ["conv 1", "conv 2", "conv 3", "conv 4", "conv 5", "scores"]
    first = net.get_submodule("features.0")
    expected, turned = torch.rot90(first(images), 1, (2, 3)), first(torch.rot90(images, 1, (2, 3)))
    rows = torch.arange(8.0) - 3.5
    inside = torch.hypot(rows[:, None], rows) <= 4
    error = ((turned - expected) * inside).norm() / (expected * inside).norm()
    assert errors["conv 1"][2] == pytest.approx(float(error), rel=1e-9)  # C8 for plain networks: 2 is a quarter
    scores, same = net(torch.rot90(images, 1, (2, 3))), net(images)
    assert errors["scores"][2] == pytest.approx(float((scores - same).norm() / same.norm()), rel=1e-9)


def test_layers_of_an_exact_network_turn_with_the_image():
    errors = convolution_errors(network(ExactBasis(Dihedral(4), 3)).double(), IMAGES.floats().double()[:5])
    assert {len(values) for values in errors.values()} == {8}
    assert max(max(values) for values in errors.values()) < 1e-12


def test_judgement_is_that_of_single_images():
    net = network()
    turned = torch.rot90(IMAGES.floats(), 1, (2, 3))
    judged = judge(net, IMAGES, turned, 5)
    counts, sure = torch.zeros(2, 10, 10, dtype=torch.int64), []
    with torch.no_grad():
        for index, (image, label) in enumerate(zip(IMAGES.floats(), IMAGES.labels.tolist(), strict=True)):
            shares = net(image[None]).softmax(1)[0]
            counts[0, label, shares.argmax()] += 1
            counts[1, label, net(turned[[index]]).argmax()] += 1
            if shares.argmax() != label:
                sure.append((float(shares.max()), index, label, int(shares.argmax())))
    assert (judged.confusion, judged.confusion_turned) == (counts[0].tolist(), counts[1].tolist())
    assert judged.wrong == len(sure) == 60 - int(counts[0].diagonal().sum())
    assert [m.index for m in judged.mistakes] == [index for _, index, *_ in sorted(sure, reverse=True)[:5]]
    best = max(sure)
    assert (judged.mistakes[0].true, judged.mistakes[0].predicted) == best[2:]
    assert judged.mistakes[0].confidence == pytest.approx(best[0], abs=1e-6)


def test_filters_are_those_of_the_first_layer_turned():
    filters = torch.from_numpy(first_filters(network(ExactBasis(Cyclic(4), 3)), 2))
    assert filters.shape == (2, 4, 3, 3)
    for quarter in range(4):
        expected = torch.rot90(filters[:, 0], quarter, (1, 2))
        torch.testing.assert_close(filters[:, quarter], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(filters[:, 0].flatten(1).norm(dim=1), torch.ones(2).double(), rtol=0, atol=1e-12)
    assert first_filters(network(), 8).shape == (3, 1, 3, 3)
    assert first_filters(torch.nn.Flatten(), 8) is None
