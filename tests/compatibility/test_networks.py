"""Networks of other packages convert, keep what the report promises, and have plain twins.

They need an environment of their own, scripts/compatibility_environment.sh; without the packages they are skipped.
"""

import copy

import pytest
import torch

pytestmark = [pytest.mark.networks, pytest.mark.filterwarnings("ignore")]

PACKAGES = {"pytorchcv": "pytorchcv", "monai": "monai", "transformers": "transformers", "cellpose": "cellpose",
            "cistardist": "cistardist_pytorch"}  # fmt: skip
REFUSED = {
    "pytorchcv vgg11": r"output.fc1.fc.*49 pixels",
    "pytorchcv pyramidnet110_a48_cifar10": r"features.stage1.unit1",
    "monai UNETR": "position_embeddings",
    "monai SwinUNETR": "relative_position_bias_table",
    "transformers ViT": "position_embeddings",
    "transformers Swin": "relative_position_bias",
}
QUICK = [
    "pytorchcv resnet20_cifar10", "pytorchcv seresnet20_cifar10", "monai UNet", "monai AttentionUnet", "monai DynUNet",
    "monai SegResNet", "transformers ResNet", "transformers ConvNextV2", "transformers MobileNetV2",
    "transformers EfficientNet", "transformers Segformer", "cellpose CPnet", "cistardist StarDist2DNet",
]  # fmt: skip

OTHERS = [
    "pytorchcv preresnet20_cifar10", "pytorchcv nin_cifar10", "monai BasicUNet", "monai EfficientNetBN",
    "transformers RegNet", "transformers ConvNext", "transformers MobileNetV1", "transformers PoolFormer",
]  # fmt: skip


def _needs(name):
    pytest.importorskip(PACKAGES[name.partition(" ")[0]])


@pytest.mark.parametrize("name", QUICK)
def test_a_network_is_invariant_before_and_after_a_step_and_has_equal_twins(name):
    _needs(name)
    from compatibility.measured import is_kept, measure_c4, twins_agree

    row = measure_c4(name)
    assert row["says_exact"]
    assert max(row["float64"], row["float64_after_step"]) <= 1e-10
    assert max(row["float32"], row["float32_after_step"]) <= 1e-4
    assert twins_agree(row)
    assert not isinstance(row["fold"], str)
    assert is_kept(row["promise"])
    assert is_kept(row["promise_as_it_is"])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_the_report_promises_what_check_measures(name, exact):
    _needs(name)
    import orbitconv
    from compatibility.measured import build, is_kept, promise, settle
    from compatibility.zoo import images

    plain, shape = build(name)
    network = settle(orbitconv.convert(plain, "c4", example=images(shape), exact=exact), images(shape, 8))
    assert is_kept(promise(network, images(shape)))


@pytest.mark.parametrize("name", ["monai DenseNet121", "monai EfficientNetBN"])
def test_folded_deep_networks_are_off_by_the_rounding_of_float32_alone(name):
    _needs(name)
    import orbitconv
    from compatibility.measured import build, difference, settle
    from compatibility.zoo import images
    from orbitconv.nn import fold

    plain, shape = build(name)
    network = settle(orbitconv.convert(plain, "c4", example=images(shape), exact=True), images(shape, 8))
    x, double = images(shape, 2), copy.deepcopy(network).double()
    with torch.no_grad():
        exact = double(x.double())
        own, folded = (difference(exact, one(x).double()) for one in (network, fold(network)))
        assert difference(exact, fold(double)(x.double())) <= 1e-12
    assert folded <= 2 * own


@pytest.mark.parametrize("group", ["d4", "c8"])
@pytest.mark.parametrize("name", ["pytorchcv seresnet20_cifar10", "monai UNet", "transformers ConvNextV2"])
def test_a_network_converts_for_other_groups(name, group):
    _needs(name)
    from compatibility.measured import measure_group

    row = measure_group(name, group)
    assert row["says_exact"]
    assert row["float32"] <= 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_that_fixes_positions_is_refused_by_path(name):
    _needs(name)
    import orbitconv
    from compatibility.measured import build
    from compatibility.zoo import images

    plain, shape = build(name)
    with pytest.raises(ValueError, match=REFUSED[name]):
        orbitconv.convert(plain, "c4", example=images(shape))


def test_vectors_and_rays_turn_as_they_should():
    _needs("cellpose x")
    _needs("cistardist x")
    import orbitconv
    from compatibility.measured import build
    from compatibility.zoo import images

    plain, shape = build("cellpose CPnet")
    flows = (
        orbitconv.convert(plain, "c4", example=images(shape), output={"[0]": ("vector", "invariant")}).double().eval()
    )
    x = images(shape, 2, torch.float64)
    with torch.no_grad():
        upright, turned = (flows(one)[0] for one in (x, x.rot90(1, (2, 3))))
    row, column, cell = upright.rot90(1, (2, 3)).unbind(1)
    torch.testing.assert_close(turned, torch.stack([-column, row, cell], 1), rtol=0, atol=1e-10)

    plain, shape = build("cistardist StarDist2DNet")
    rays = orbitconv.convert(plain, "c4", example=images(shape), output={"[1]": "regular"}).double().eval()
    x = images(shape, 2, torch.float64)
    with torch.no_grad():
        upright, turned = (rays(one)[1] for one in (x, x.rot90(1, (2, 3))))
    torch.testing.assert_close(turned, upright.rot90(1, (2, 3)).roll(8, 1), rtol=0, atol=1e-10)
