"""Training of a network at hand: in memory, and with a folder."""

import signal

import pytest
import torch
from torch import nn

from orbitconv.records.checkpoint import read_checkpoint
from orbitconv.records.metric_lines import read_metrics
from orbitconv.train import Examples, Plan, Training, error_percent, train, train_examples
from tiny_training import TinyCNN, tiny_examples


def two_classes(n=128):
    labels = torch.arange(n) % 2
    images = torch.rand(n, 1, 4, 4) * 0.1 + labels[:, None, None, None]
    return images, labels


def classifier(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 2))


def test_training_separates_what_is_separable():
    images, labels = two_classes()
    network = classifier()
    train(network, images, labels, Training(epochs=5, batch_size=16, learning_rate=0.1), seed=0)
    assert error_percent(network, images, labels) == 0


def test_the_loop_is_the_plain_one_bit_for_bit():
    images, labels = two_classes(70)
    expected, network = classifier(), classifier()
    torch.manual_seed(5)
    train(network, images, labels, Training(epochs=2, batch_size=16, weight_decay=0.1), seed=3)
    torch.manual_seed(5)
    order = torch.Generator().manual_seed(3)
    optimizer = torch.optim.AdamW(expected.parameters(), 5e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=8)
    for _ in range(2):
        for index in torch.randperm(70, generator=order)[:64].split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(expected(images[index]), labels[index]).backward()
            optimizer.step()
            schedule.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), expected.parameters(), strict=True))


def test_progress_counts_every_step_and_shows_figures():
    images, labels = two_classes(70)
    seen = []
    train(classifier(), images, labels, Training(epochs=2, batch_size=16), seed=0, progress=lambda *s: seen.append(s))
    assert [(done, total) for _, done, total in seen] == [(step, 8) for step in range(1, 9)]
    assert all(what.startswith("training | loss ") and "images/s" in what for what, _, _ in seen)


def test_a_loss_that_is_no_number_stops_and_names_the_step():
    images, labels = two_classes()
    with pytest.raises(FloatingPointError, match=r"nan at step 1\. Lower the learning rate"):
        train(classifier(), images * torch.nan, labels, Training(epochs=2, batch_size=16), seed=0)


def test_a_request_to_stop_in_the_last_step_stops_what_would_come_next():
    def stop(_what, step, total):
        if step == total:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(classifier(), *two_classes(), Training(epochs=2, batch_size=16), seed=0, progress=stop)
    assert signal.getsignal(signal.SIGINT) is before


def test_fewer_images_than_a_batch_are_refused():
    images, labels = two_classes(8)
    with pytest.raises(ValueError, match=r"16 images, got 8"):
        train(classifier(), images, labels, Training(batch_size=16), seed=0)


def test_labels_that_do_not_fit_are_refused():
    images, labels = two_classes(8)
    with pytest.raises(ValueError, match="a label for each, got images of shape"):
        Examples(images, labels[:7])


def test_a_network_of_ones_own_trains_into_a_folder_and_goes_on(tmp_path):
    plan = Plan(training=Training(epochs=2, batch_size=16), checkpoint_every=3)
    tests = {"test": tiny_examples("test"), "validation": tiny_examples("validation")}
    rows = train_examples(TinyCNN(), tiny_examples(), plan, tests=tests, out=tmp_path / "run")
    assert read_metrics(tmp_path / "run") == rows
    assert read_checkpoint(tmp_path / "run" / "checkpoints").step == 8
    again = train_examples(TinyCNN(), tiny_examples(), plan, tests=tests, out=tmp_path / "run", resume=True)
    assert again == rows
    with pytest.raises(ValueError, match="images, labels differ"):
        train_examples(TinyCNN(), tiny_examples(n=32), plan, out=tmp_path / "run", resume=True)


def test_bytes_are_divided_by_255_and_numbers_taken_as_they_are():
    examples = tiny_examples()
    networks = []
    for images in (examples.images, examples.images.float() / 255):
        torch.manual_seed(0)
        networks.append(TinyCNN())
        train_examples(
            networks[-1], Examples(images, examples.labels), Plan(training=Training(epochs=1, batch_size=16))
        )
    assert torch.equal(networks[0].last[1].weight, networks[1].last[1].weight)


def test_the_generator_of_the_caller_is_left_alone():
    network, examples = classifier(), Examples(*two_classes(32))
    before = torch.get_rng_state()
    train_examples(network, examples, Plan(training=Training(epochs=1, batch_size=16)))
    assert torch.equal(torch.get_rng_state(), before)
