"""The same training with other hardware settings."""

from dataclasses import replace

import pytest
import torch

from orbitconv.train import Hardware, Plan, Training, train_examples
from tiny_training import TinyCNN, tiny_examples

PLAN = Plan(training=Training(epochs=3, batch_size=16, learning_rate=2e-2))


def trained(hardware, out=None, network=TinyCNN, **options):
    """A network and the lines of its training."""
    torch.manual_seed(0)
    built = network()
    rows = train_examples(
        built, tiny_examples(), replace(PLAN, hardware=hardware), tests={"test": tiny_examples("test")}, out=out,
        **options,
    )  # fmt: skip
    return built, rows


def far(one, other):
    """Largest difference of two networks' weights."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max((a.double() - b.double()).abs().max().item() for a, b in pairs)


def test_bfloat16_trains_weights_of_32_bits_to_nearly_the_same():
    (exact, rows), (rounded, others) = (trained(Hardware(device="cpu", precision=p)) for p in ("32", "bf16"))
    assert all(t.dtype == torch.float32 for t in rounded.parameters())
    assert 1e-6 < far(exact, rounded) < 0.1
    assert rows[-1]["loss"] == pytest.approx(others[-1]["loss"], abs=0.02)
    assert others[-1]["loss"] < 0.95 * others[0]["loss"]


def test_a_compiler_that_fails_is_one_message(monkeypatch):
    def fail(_graph, _inputs):
        raise OSError("no compiler here")

    original = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network, **options: original(network, **options | {"backend": fail}))
    with pytest.raises(ValueError, match=r"could not compile the network: .* Train without compile"):
        trained(Hardware(device="cpu", compile=True))


def test_a_compiled_training_is_the_plain_one_and_goes_on_with_its_checkpoint(monkeypatch, tmp_path):
    compiled = []

    def spy(network, **options):
        compiled.append(network)
        return original(network, **options | {"backend": "aot_eager"})  # traced, but not compiled for half a minute

    original = torch.compile
    monkeypatch.setattr(torch, "compile", spy)
    plain, rows = trained(Hardware(device="cpu"))
    fast, others = trained(Hardware(device="cpu", compile=True), tmp_path / "run")
    assert compiled[0] is fast
    assert plain.state_dict().keys() == fast.state_dict().keys()
    assert far(plain, fast) < 1e-5
    assert [row["loss"] for row in others] == pytest.approx([row["loss"] for row in rows], abs=1e-5)
    again, _ = trained(Hardware(device="cpu"), tmp_path / "run", resume=True)
    assert far(fast, again) == 0


def test_only_repeatable_algorithms_run_where_asked_for_and_only_then():
    seen = []

    class Watching(TinyCNN):
        def forward(self, x):
            seen.append(torch.are_deterministic_algorithms_enabled())
            return super().forward(x)

    for wanted in (False, True):
        trained(Hardware(device="cpu", deterministic=wanted), network=Watching)
        assert set(seen) == {wanted}
        seen.clear()
    assert not torch.are_deterministic_algorithms_enabled()
