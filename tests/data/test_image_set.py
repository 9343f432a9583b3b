import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orbitconv.data import ImageSet
from raising import refuses


def make(n=7, channels=3):
    """Images whose first pixel is their number, so that each can be recognised."""
    images = torch.randint(0, 256, (n, channels, 2, 5), generator=torch.Generator().manual_seed(0)).byte()
    images[:, 0, 0, 0] = torch.arange(n)
    labels = torch.arange(n) % 4
    return ImageSet(images=images, labels=labels, classes=tuple("abcd"), name="toy", split="train")


def numbers(images):
    return images[:, 0, 0, 0].tolist()


def test_floats_are_the_pixels_divided_by_255():
    images = make()
    expected = torch.from_numpy(images.images.numpy().astype("float64") / 255)
    torch.testing.assert_close(images.floats(torch.float64), expected, rtol=0, atol=0)
    assert images.floats().dtype == torch.float32


@pytest.mark.parametrize(
    ("colour", "luminance"),
    [((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114), ((255, 255, 255), 1), ((51, 51, 51), 0.2)],
)
def test_grey_is_the_luminance_of_rec_601(colour, luminance):
    plane = torch.tensor(colour, dtype=torch.uint8).reshape(1, 3, 1, 1).expand(2, 3, 4, 5)
    images = ImageSet(images=plane, labels=torch.zeros(2, dtype=torch.int64), classes=("a",), name="x", split="y")
    expected = torch.full((2, 1, 4, 5), luminance, dtype=torch.float64)
    torch.testing.assert_close(images.grey(torch.float64), expected, rtol=0, atol=1e-15)


def test_take_with_a_seed_picks_distinct_images_with_their_labels_and_repeats():
    picked = make(100).take(30, seed=5)
    again = make(100).take(30, seed=5)
    other = make(100).take(30, seed=6)
    assert len(set(numbers(picked.images))) == 30
    assert picked.labels.tolist() == [i % 4 for i in numbers(picked.images)]
    assert numbers(picked.images) == numbers(again.images)
    assert numbers(picked.images) != numbers(other.images)


def test_random_order_of_a_seed_is_fixed_across_machines():
    assert numbers(make().take(7, seed=0).images) == [4, 0, 5, 3, 2, 6, 1]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: make(channels=2).grey(), r"ImageSet\.grey expects one or three channels, got 2"),
    (lambda: make().take(8), r"n <= 7, the images in toy \(train\), got 8"),
    (lambda: make().take(8, seed=0), r"n <= 7, the images in toy \(train\), got 8"),
    (lambda: make().hold_out(7, seed=0), r"validation < 7.*got 7"),
    (lambda: make().batches(0), r"ImageSet\.batches expects batch_size >= 1, got 0"),  # before one is asked for
])  # fmt: skip
def test_refuses_what_there_is_not(call, message):
    refuses(ValueError, message, call)


def test_hold_out_parts_the_set():
    rest, held = make(50).hold_out(12, seed=3)
    assert (len(rest), len(held)) == (38, 12)
    assert sorted(numbers(rest.images) + numbers(held.images)) == list(range(50))
    assert held.labels.tolist() == [i % 4 for i in numbers(held.images)]
    assert (rest.split, held.split) == ("train", "validation")


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.none() | st.integers(0, 2**31))
def test_batches_cover_the_set_exactly_once(n, batch_size, seed):
    batches = list(make(n).batches(batch_size, shuffle_seed=seed))
    seen = [i for images, _ in batches for i in numbers(images)]
    assert sorted(seen) == list(range(n))
    assert [i for _, labels in batches for i in labels.tolist()] == [i % 4 for i in seen]
    assert all(len(images) == batch_size for images, _ in batches[:-1])
    if seed is None:
        assert seen == list(range(n))


@pytest.mark.parametrize(("changes", "message"), [
    ({"images": torch.zeros(7, 3, 2, 5)}, r"images as uint8 .*, got torch\.float32 of shape \(7, 3, 2, 5\)"),
    ({"images": torch.zeros(7, 2, 5).byte()}, r"images as uint8 .*, got torch\.uint8 of shape \(7, 2, 5\)"),
    ({"labels": torch.zeros(6).long()}, r"one int64 label for each of 7 images, got .* \(6,\)"),
    ({"labels": torch.zeros(7)}, r"one int64 label for each of 7 images, got torch\.float32"),
    ({"labels": torch.zeros(7, device="meta").long()}, r"on one device, got cpu and meta"),
    ({"labels": torch.full((7,), 4)}, r"labels from 0 to 3, got 4 to 4"),
    ({"labels": torch.full((7,), -1)}, r"labels from 0 to 3, got -1 to -1"),
], ids=["type", "rank", "count", "label-type", "device", "too-high", "negative"])  # fmt: skip
def test_parts_that_do_not_fit_are_refused(changes, message):
    bad = object.__new__(ImageSet)  # past the constructor, where run-time type checks would refuse first
    for name in ("images", "labels", "classes", "name", "split"):
        object.__setattr__(bad, name, changes.get(name, getattr(make(), name)))
    refuses(ValueError, message, bad.__post_init__)
