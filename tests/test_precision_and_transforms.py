"""Every public function, layer and network in every dtype and transform: what float32 gives, to rounding."""

import pytest
import torch
from torch import nn

import orbitconv.models
import orbitconv.nn
from orbitconv.nn import BasisConv2d
from public_calls import CALLS, FUNCTIONS

MEASUREMENT = "equivariance_error"
TENSORS = set(CALLS) - {MEASUREMENT}


def units(name, function):
    """Rounding allowed, in the last place of the dtype: half for a result, one for every sum of products."""
    if name in FUNCTIONS:
        return 0.5
    return max(1, sum(isinstance(m, BasisConv2d | nn.Conv2d | nn.Linear) for m in function.modules()))


def relative(found, expected):
    found, expected = found.detach().double(), expected.detach().double()
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


def converted(function, to):
    return function.to(to) if isinstance(function, nn.Module) else function


def every(names):
    return pytest.mark.parametrize("name", sorted(names))


def test_every_public_layer_and_network_is_here():
    bases = {"BasisConv2d", "Classifier", "ToHexagonal"}  # the last gives a type of its own: tests/nn/test_hexagonal.py
    modules = vars(orbitconv.nn) | vars(orbitconv.models)
    public = {name for name, it in modules.items() if isinstance(it, type) and issubclass(it, nn.Module)} - bases
    called = {type(call.function()).__name__ for call in CALLS.values()}
    assert public <= called


@every(TENSORS)
def test_no_inputs_give_no_outputs_and_no_gradient(name):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    empty = x[:0].requires_grad_()
    found = function(empty)
    assert found.shape == (0, *function(x).shape[1:])
    if found.requires_grad:
        found.sum().backward()
        assert empty.grad is not None
        assert empty.grad.shape == empty.shape


@every(CALLS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_are_off_by_their_rounding(name, dtype):
    expected = CALLS[name].function()(CALLS[name].inputs())
    function = converted(CALLS[name].function(), dtype)
    found = function(CALLS[name].inputs().to(dtype))
    assert found.dtype == (torch.float32 if name == MEASUREMENT else dtype)
    assert relative(found, expected) < units(name, function) * torch.finfo(dtype).eps


@every(CALLS)
def test_float64_is_what_float32_rounds(name):
    expected = CALLS[name].function()(CALLS[name].inputs())
    found = converted(CALLS[name].function(), torch.float64)(CALLS[name].inputs().double())
    assert found.dtype == torch.float64
    assert 0 <= relative(found, expected) < 2e-6


@every(CALLS)
def test_autocast_changes_no_function_and_rounds_the_products_of_layers(name):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    expected = function(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = function(x)
    if name in FUNCTIONS or name == MEASUREMENT:
        assert torch.equal(found, expected)
    else:
        assert relative(found, expected) < units(name, function) * torch.finfo(torch.bfloat16).eps


@every(TENSORS)
def test_vmap_gives_what_a_loop_gives(name):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    batches = torch.stack([x, 2 * x.flip(0)])
    assert relative(torch.vmap(function)(batches), torch.stack([function(one) for one in batches])) < 1e-6


def test_a_measurement_is_refused_inside_vmap():
    function, x = CALLS[MEASUREMENT].function(), CALLS[MEASUREMENT].inputs()
    with pytest.raises(RuntimeError, match="vmap"):
        torch.vmap(function)(x[None])


@every(TENSORS)
def test_meta_gives_shape_and_dtype(name):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    expected = function(x)
    found = converted(function, "meta")(x.to("meta"))
    assert found.is_meta
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


@every(CALLS)
def test_inference_mode_gives_the_same_and_leaves_nothing_behind(name):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    with torch.inference_mode():
        first = function(x).clone()
    found = function(x.requires_grad_())
    assert relative(first, found) < 1e-6
    if found.requires_grad:
        found.square().sum().backward()
        assert torch.isfinite(x.grad).all()


@every(CALLS)
@pytest.mark.parametrize("layout", ["transposed", "channels last", "strided", "expanded"])
def test_the_layout_in_memory_changes_nothing(name, layout):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    if layout == "expanded":
        x = x[:1].expand(x.shape)
        found, x = function(x), x.contiguous()
    else:
        other = {
            "transposed": lambda: x.mT.contiguous().mT,
            "channels last": lambda: x.movedim(1, -1).contiguous().movedim(-1, 1),
            "strided": lambda: torch.stack([x, x + 1], -1).flatten(-2)[..., ::2],
        }[layout]()
        assert torch.equal(other, x)
        assert not other.is_contiguous()
        found = function(other)
    assert relative(found, function(x)) < 1e-6
