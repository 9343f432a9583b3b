import pytest

from orbitconv.models import MODELS, SmallCNN, build_model


def test_builds_by_name():
    network = build_model("small", "spectral-c8-k5", width=2, num_classes=3)
    assert isinstance(network, SmallCNN)
    assert network.classify.out_features == 3
    assert all(build_model(name, None, plain_width=2).width == 2 for name in MODELS)


def test_unknown_names_are_refused_with_those_that_exist():
    with pytest.raises(
        ValueError, match=r"There is no network named 'resnet18'. Did you mean 'resnet'\? There are all-"
    ):
        build_model("resnet18", None)
    with pytest.raises(ValueError, match=r"There are all-cnn-c, p4cnn, resnet, small, unet, wide-resnet."):
        build_model("vgg", None)


def test_unknown_options_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"'small' has no option depth, widen. It has width, plain_width, kernel_size"):
        build_model("small", None, widen=3, depth=2)
