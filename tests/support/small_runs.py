"""Runs of `orbitconv train` on small digits, finished or cut off."""

from digits import load_small_digits
from orbitconv.records.lines import checked_line
from orbitconv.train import Network, Training, TrainNetwork, train_network, write_config
from orbitconv.train.datasets import LOADERS

OPTIONS = {"kernel_size": 3, "plain_width": 4}


def use_small_digits(patch):
    """Let data sets be small digits; takes pytest's monkeypatch."""
    for name in ("mnist", "rotated-mnist"):
        patch.setitem(LOADERS, name, lambda split, name=name, **_: load_small_digits(name, split))


def settings(out, basis="none", seed=0, data="mnist", epochs=2, **training):
    return TrainNetwork(
        out=out, data=data, seed=seed, network=Network(model="small", basis=basis, options=OPTIONS),
        training=Training(epochs=epochs, batch_size=50, **training),
    )  # fmt: skip


def train_small(out, **options):
    return train_network(settings(out, **options))


def cut_off(out, epochs_done=1, **options):
    """The folder of a training that was stopped."""
    write_config(out / "config.json", settings(out, **options).complete())
    rows = [
        {"epoch": e + 1, "step": 8 * (e + 1), "loss": 2.0 - e, "train_error_percent": 80.0, "test_error_percent": 75.0}
        for e in range(epochs_done)
    ]
    (out / "metrics.jsonl").write_text("".join(map(checked_line, rows)))
