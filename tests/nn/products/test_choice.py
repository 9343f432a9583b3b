"""Which product a call takes: prices are ordered as the work is, the choice stays, and it can be asked for."""

import json
import re
import time

import pytest
import torch

from orbitconv.bases import ExactBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d, explain, keep_filters
from orbitconv.nn.products import calibration, choice, kernel
from orbitconv.nn.products.calibration import fused_shares_of_this_machine, shares_of_this_machine
from orbitconv.nn.products.choice import choose, expected_share
from orbitconv.nn.products.fourier import work_of
from orbitconv.nn.products.kernel.library import library
from raising import refuses

C8 = Cyclic(8)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache, and a measurement that counts how often it is taken."""
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path))
    monkeypatch.delenv("ORBITCONV_CALIBRATE", raising=False)
    taken = []
    monkeypatch.setattr(calibration, "measure", lambda *_: taken.append(1) or {True: 1.25, False: 0.75})
    measured = (shares_of_this_machine, fused_shares_of_this_machine)
    for shares in measured:
        shares.cache_clear()
    yield taken
    for shares in measured:
        shares.cache_clear()


def share(fields: int, pixels: int, *, images: int = 8, stride: int = 1, mixed: int | None = None, **options) -> float:
    work = work_of(GroupConv2d(fields, fields, HarmonicBasis(C8, 3), stride, device="meta"))
    return expected_share(work, images, pixels, mixed or pixels, **{"learns": True, **options})


def test_the_machine_is_measured_once_and_the_choice_stays(cache, tmp_path):
    layer, x = GroupConv2d(8, 8, HarmonicBasis(C8, 3)), torch.randn(2, 64, 9, 9)
    first = choose(layer, x)
    shares_of_this_machine.cache_clear()  # as in another process
    assert choose(GroupConv2d(8, 8, HarmonicBasis(C8, 3)), x) == first
    assert len(cache) == 1
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text()) == {"train": 1.25, "infer": 0.75}


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"train": 1e9, "infer": 1}', '{"train": NaN, "infer": 1}', "[" * 10**5]
)
def test_a_damaged_measurement_is_taken_anew(cache, tmp_path, text):
    shares_of_this_machine()
    next(tmp_path.rglob("*.json")).write_text(text)
    shares_of_this_machine.cache_clear()
    assert shares_of_this_machine() == {True: 1.25, False: 0.75}
    assert len(cache) == 2


def test_the_fused_product_is_measured_where_it_is_built_and_its_price_follows(cache, built_kernel):
    layer, planes = GroupConv2d(4, 4, HarmonicBasis(C8, 3)), torch.randn(2, 32, 9, 9)
    with kernel.switched_off():
        assert choose(layer, planes).product == "dense"
    before = len(cache)
    words = explain(layer, planes.unflatten(1, (4, 8)))
    assert (choose(layer, planes).product, len(cache)) == ("fused", before + 1)
    assert "takes the fused product" in words


def test_where_the_fused_product_turns_out_slow_the_dense_one_is_taken(monkeypatch, built_kernel):
    layer, planes = GroupConv2d(4, 4, HarmonicBasis(C8, 3)), torch.randn(2, 32, 9, 9)
    real, found, spent = calibration.fused_conv, [], 0.0
    for times in (1, 60):

        def slow(*arguments, times=times):
            for _ in range(times):
                y = real(*arguments)
            return y

        monkeypatch.setattr(calibration, "fused_conv", slow)
        monkeypatch.setattr(calibration, "_BOUNDS", (1e-3, 1e3))
        start = time.process_time()
        measured = calibration.measure(library())
        spent = max(spent, time.process_time() - start) if times == 1 else spent
        monkeypatch.setattr(choice, "fused_shares_of_this_machine", lambda *_, measured=measured: measured)
        found.append(choose(layer, planes).product)
    assert found == ["fused", "dense"]
    assert spent < 2


def test_without_a_place_to_keep_it_nothing_is_measured(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ORBITCONV_CACHE", str(tmp_path / "file"))
    assert shares_of_this_machine() == {True: 1.0, False: 1.0}
    assert cache == []


def test_it_can_be_switched_off(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("ORBITCONV_CALIBRATE", "0")
    assert shares_of_this_machine() == {True: 1.0, False: 1.0}
    assert list(tmp_path.iterdir()) == []


def test_it_is_measured_whatever_the_caller_does():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = torch.vmap(lambda x: x * calibration.measure()[True])(torch.ones(2))
    assert bool((found > 0).all())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("layer", "shape", "words"), [
    (lambda: LiftingConv2d(1, 2, HarmonicBasis(C8, 3)), (1, 1, 5, 5), "LiftingConv2d takes the dense .* no other"),
    (
        lambda: GroupConv2d(2, 2, HarmonicBasis(C8, 3), fourier=True),
        (1, 2, 8, 5, 5),
        "fourier product: fourier=True",
    ),
    (
        lambda: GroupConv2d(2, 2, HarmonicBasis(C8, 3), fourier=False),
        (1, 2, 8, 5, 5),
        "dense product: fourier=False",
    ),
    (lambda: GroupConv2d(2, 2, ExactBasis(Dihedral(4), 3)), (1, 2, 8, 5, 5), "dense product: .* not cyclic"),
    (
        lambda: GroupConv2d(2, 2, HarmonicBasis(C8, 3)).double(),
        (1, 2, 8, 5, 5),
        "dense product: .* float32 and bfloat16 on a CPU",
    ),
    (lambda: GroupConv2d(2, 2, HarmonicBasis(C8, 3)), (1, 2, 8, 9, 9), r"dense product: .* to take \d\.\d\d of"),
    (
        lambda: GroupConv2d(64, 64, HarmonicBasis(C8, 3)),
        (8, 64, 8, 6, 6),
        r"fourier product: .* to take 0\.\d\d of",
    ),
])  # fmt: skip
def test_it_explains_itself(layer, shape, words, monkeypatch):
    monkeypatch.setattr("orbitconv.nn.products.choice.shares_of_this_machine", lambda: {True: 1.0, False: 1.0})
    layer = layer()
    x = torch.zeros(shape, dtype=layer.coefficients.dtype)
    assert re.search(words, explain(layer, x))


def test_it_explains_kept_filters_and_refuses_other_modules():
    layer, x = GroupConv2d(2, 2, HarmonicBasis(C8, 3)), torch.zeros(1, 2, 8, 5, 5)
    with keep_filters(layer):
        assert "its filters are kept" in explain(layer, x)
    refuses(TypeError, r"explain expects a layer with filters, .* got GroupPool", lambda: explain(GroupPool(), x))
    refuses(ValueError, "GroupConv2d expects input of shape", explain, layer, x[0])
