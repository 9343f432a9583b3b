"""What every network shall do, whatever its architecture."""

import inspect
import pickle

import pytest
import torch

from networks import BASES, MODELS, SMALL, exact_c4, learned_c8, make, picture
from orbitconv.models import count_parameters
from orbitconv.nn import fold
from raising import refuses
from references import turn

NAMES = sorted(MODELS)
# Networks that choose how planes are halved, with sizes at which each way keeps the centre of the image.
HALVING = {
    "all-cnn-c": {"max": 12, "stride": 13, "blur": 14},
    "p4cnn": {"max": 30, "stride": 29, "blur": 29},
    "resnet": {"max": 12, "stride": 13, "blur": 14},
    "small": {"max": 12, "stride": 13, "blur": 14},
    "wide-resnet": {"max": 12, "stride": 13, "blur": 15},
}
WITH_HEAD = [name for name in NAMES if name not in {"p4cnn", "unet"}]
CASES = [(name, downsample, size) for name, sizes in HALVING.items() for downsample, size in sizes.items()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("basis", BASES)
def test_exactly_equivariant_to_what_maps_the_grid_to_itself(name, basis):
    network, x = make(name, basis), picture(SMALL[name][1])
    with torch.no_grad():
        expected = network(x)
        assert expected.shape == ((2, 10, *x.shape[2:]) if name == "unet" else (2, 10))
        for mirror in (False, True):
            found = [network(turn(x, quarters, mirror=mirror)) for quarters in range(4)]
            errors = []
            for quarters, y in enumerate(found):
                same = turn(expected, quarters, mirror=mirror) if name == "unet" else expected
                errors.append(float((y - same).abs().max()))
            if basis == "plain":
                assert min(errors[1:]) > 1e-6
            elif mirror and basis != "d4":
                assert min(errors) > 1e-6
            else:
                assert max(errors) < 1e-10


@pytest.mark.parametrize(("name", "downsample", "size"), CASES)
def test_every_way_to_halve_planes_is_exact_at_the_sizes_it_promises(name, downsample, size):
    network, x = make(name, "c4", downsample=downsample), picture(size)
    with torch.no_grad():
        torch.testing.assert_close(network(turn(x, 1)), network(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in NAMES if SMALL[name][2]])
def test_a_max_pool_that_leaves_pixels_over_is_not_exact(name):
    network, x = make(name, "c4"), picture(SMALL[name][2])
    with torch.no_grad():
        assert (network(turn(x, 1)) - network(x)).abs().max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pool_group", ["max", "mean"])
def test_group_is_pooled_as_asked(name, pool_group):
    network, x = make(name, "c4", pool_group=pool_group), picture(SMALL[name][1])
    kept = []
    network.pool.register_forward_hook(lambda _module, inputs, output: kept.append((inputs[0], output)))
    with torch.no_grad():
        network(x)
    (before, after), *_ = kept
    torch.testing.assert_close(after, before.amax(2) if pool_group == "max" else before.mean(2))


@pytest.mark.parametrize("name", WITH_HEAD)
def test_without_a_pool_over_the_group_the_last_layer_sees_every_copy(name):
    network, x = make(name, "c4", pool_group="none"), picture(SMALL[name][1])
    weight, bias = network.classify.weight, network.classify.bias
    with torch.no_grad():
        scores = network(x)
        maps = network.features(x)
        features = maps.mean((3, 4)) if network.plane == "mean" else maps.amax((3, 4))
        assert weight.shape == (10, features[0].numel())
        torch.testing.assert_close(scores, features.flatten(1) @ weight.T + bias)
        # A quarter turn of the image moves every copy on by one; the last layer is where that begins to matter.
        torch.testing.assert_close(network(turn(x, 1)), features.roll(1, 2).flatten(1) @ weight.T + bias)
        assert (network(turn(x, 1)) - scores).abs().max() > 1e-3
        torch.testing.assert_close(fold(network.float())(x.float()), scores.float(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", WITH_HEAD)
def test_what_the_last_layer_sees_counts_as_size(name):
    options = {**SMALL[name][0], "pool_group": "none"}
    plain = MODELS[name](None, **options)
    network = MODELS[name](learned_c8(3), **options)
    assert isinstance(plain.pool, torch.nn.Identity)
    assert network.classify.in_features % 8 == 0
    assert count_parameters(network) == pytest.approx(count_parameters(plain), rel=0.05)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("basis", ["plain", "c8"])
def test_survives_pickle_and_state_dict(name, basis):
    network, x = make(name, basis), picture(SMALL[name][1])
    other = make(name, basis)
    with torch.no_grad():
        expected = network(x)
        assert not torch.equal(other(x), expected)
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(x), expected)
        assert torch.equal(pickle.loads(pickle.dumps(network))(x), expected)
        assert network.train().eval()(x).equal(expected)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_compiles_in_one_graph(name):
    torch._dynamo.reset()
    network, x = make(name, "c4"), picture(SMALL[name][1])
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), network(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_all_parameters_learn(name):
    network = make(name, "c4").train()
    network(picture(SMALL[name][1])).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_bad_options_are_refused(name):
    build = MODELS[name]
    with pytest.raises(ValueError, match=rf"{build.__name__} expects a finite width > 0, 'params' or 'compute', got 0"):
        build(exact_c4, width=0)
    refuses(ValueError, r"width as a number, 'params' or 'compute', got 'wide'", build, exact_c4, width="wide")
    refuses(ValueError, r"plain_width >= 1", build, exact_c4, plain_width=0)
    refuses(ValueError, r"in_channels >= 1", build, exact_c4, in_channels=0)
    with pytest.raises(ValueError, match=rf"{build.__name__} expects pool_group .*'max'.* got 'sum'"):
        build(None, width=1, pool_group="sum")
    if name in HALVING:
        with pytest.raises(ValueError, match=r"downsample 'max', 'blur' or 'stride', got 'half'"):
            build(exact_c4, width=1, downsample="half")


@pytest.mark.parametrize("basis", [None, exact_c4])
@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in NAMES for option in inspect.signature(MODELS[name]).parameters]
)
def test_what_no_option_can_be_is_refused_with_its_name(name, option, basis):
    if option == "basis":
        return
    network = MODELS[name]
    for value in ("high", float("inf"), float("nan"), -1):
        with pytest.raises((TypeError, ValueError), match=rf"^{network.__name__} expects .*{option}.* got '?{value}"):
            network(basis, **{**SMALL[name][0], "plain_width": 2, option: value})


@pytest.mark.parametrize("name", ["resnet", "wide-resnet", "unet"])
def test_even_kernels_are_refused_where_maps_are_added(name):
    with pytest.raises(ValueError, match=r"odd sides, which keep the size of planes, got 4x4"):
        MODELS[name](exact_c4, kernel_size=4)
