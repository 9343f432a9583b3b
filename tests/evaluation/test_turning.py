"""Figures on turned images, against naive loops over quarter turns."""

import pytest
import torch
from torch import nn

import orbitconv
from orbitconv.evaluation.tested import evaluate_prepared
from orbitconv.evaluation.turning import RANDOM, turned_figures
from orbitconv.models import UNet, build_model
from orbitconv.train import Classification, MultiLabel, Segmentation, TrainConfig, TrainedNetwork
from orbitconv.train.examples import Examples
from orbitconv.train.fitting import prepared


def silent(*_):
    pass


class Linear(nn.Sequential):
    """Knows where every pixel is."""

    def __init__(self, classes=3, side=6):
        super().__init__(nn.Flatten(), nn.Linear(side * side, classes))


def test_errors_and_changes_of_quarter_turns_are_those_of_rot90():
    network, images, labels = Linear(), torch.rand(40, 1, 6, 8), torch.randint(3, (40,))
    found = turned_figures(network, Examples(images, labels), Classification(), (0, 90, 270), silent)
    square = images[..., 1:7]
    own = network(square).argmax(1)
    for k, angle in ((0, "0"), (1, "90"), (3, "270")):
        said = network(torch.rot90(square, k, (-2, -1))).argmax(1)
        assert found[angle].error_percent == pytest.approx(100 * float((said != labels).double().mean()))
        assert found[angle].changed_percent == pytest.approx(100 * float((said != own).double().mean()))
    assert found["0"].changed_percent == 0 < found["90"].changed_percent
    assert found[RANDOM].changed_percent > 0


def test_masks_of_exact_filters_turn_with_the_picture_by_quarters_and_those_of_plain_ones_do_not():
    images, labels = torch.rand(6, 1, 17, 17), torch.randint(2, (6, 17, 17))
    changed = {}
    for basis in ("exact-c4", None):
        network = UNet(basis, 2, depth=1, plain_width=4, in_channels=1).eval()
        with torch.no_grad():
            network.score.bias += torch.tensor([0.5, -0.5]) * (network(images)[:, 1] - network(images)[:, 0]).median()
        found = turned_figures(network.double(), Examples(images.double(), labels), Segmentation(), (90, 45), silent)
        changed[basis] = [found[angle].changed_percent for angle in ("90", "45")]
    assert changed["exact-c4"][0] == 0
    assert min(changed["exact-c4"][1], changed[None][0]) > 1


def test_the_random_angles_are_the_same_however_the_images_are_batched():
    network, images, labels = Linear(), torch.rand(1100, 1, 6, 6), torch.randint(3, (1100,))  # more than one batch
    whole, part = (turned_figures(network, Examples(images[:n], labels[:n]), Classification(), (), silent)
                   for n in (1100, 500))  # fmt: skip
    again = turned_figures(network, Examples(images[:500], labels[:500]), Classification(), (30,), silent)
    assert part == {RANDOM: again[RANDOM]}
    assert whole != part


def test_several_labels_change_one_by_one():
    network, images = Linear(), torch.rand(30, 1, 6, 6)
    labels = torch.randint(2, (30, 3)).float()
    found = turned_figures(network, Examples(images, labels), MultiLabel(), (180,), silent)["180"]
    said, own = network(images.rot90(2, (-2, -1))) > 0, network(images) > 0
    assert found.changed_percent == pytest.approx(100 * float((said != own).double().mean()))
    assert found.error_percent == pytest.approx(100 * float((said != (labels > 0)).double().mean()))


@pytest.mark.parametrize("task", [Classification(), Segmentation()])
def test_evaluate_tells_errors_changes_and_layers(task):
    masks = isinstance(task, Segmentation)
    network = (
        UNet("exact-c4", 2, depth=1, plain_width=4, in_channels=1)
        if masks
        else build_model("small", "exact-c4", num_classes=2, in_channels=1, width=2)
    )
    trained = TrainedNetwork(
        network=network.eval(), config=TrainConfig(), classes=(), in_channels=1, image_size=None, task=task
    )
    images, labels = torch.rand(5, 1, 16, 20), torch.randint(2, (5, 16, 20) if masks else (5,))
    found = orbitconv.evaluate(trained, (images, labels), angles=(0, 90), layers=2, device="cpu")
    assert found["changed_at"]["0"] == 0
    assert found["changed_at"]["90"] < 0.5  # but for ties in rounding
    assert {"error_random", "changed_random"} <= found.keys()
    assert (found["equivariance"]["images"], found["equivariance"]["group"]) == (2, "c4")
    assert max(layer["worst"] for layer in found["equivariance"]["layers"]) < 1e-10
    bare = evaluate_prepared(trained, prepared((images, labels), task), device="cpu")
    assert not bare.keys() & {"error_at", "changed_at", "equivariance"}
