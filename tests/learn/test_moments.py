import itertools

import numpy as np
import pytest
import scipy.signal
import torch

from orbitconv.groups import Cyclic, Dihedral
from orbitconv.groups.spline import sample_spline
from orbitconv.learn import Moments, measure_moments
from raising import refuses
from references import rotate, smooth_images

C8 = Cyclic(8)
MARGIN = 40  # pixels of mirror image around an image: what the spline sees beyond its border


def naive(images, group, kernel_size, order, standardize):
    """Straight from the definition: turn images and response maps, collect them at every point of the disc."""
    height, width = images.shape[-2:]
    ky, kx = kernel_size
    p = ky * kx
    sums = np.zeros((3, group.order, p, p))
    points = 0
    for image, g in itertools.product(images[:, 0].numpy(), range(group.order)):
        f = (image - image.mean()) / image.std() if standardize else image
        f = np.pad(f, MARGIN, mode="reflect")

        def turn(plane, g=g):
            plane = plane[:, ::-1] if group.mirrors[g] else plane
            return rotate(
                plane, 2 * np.pi * (g % group.num_rotations) / group.num_rotations, order=order, mode="mirror"
            )

        patches, responses = [], []
        turned = turn(f)
        for a, b in itertools.product(range(ky), range(kx)):
            pixel = np.zeros((ky, kx))
            pixel[a, b] = 1
            patches.append(scipy.signal.correlate2d(turned, pixel, mode="valid"))
            responses.append(turn(scipy.signal.correlate2d(f, pixel, mode="valid")))
        reach = np.hypot((ky - 1) / 2, (kx - 1) / 2)
        for row, col in itertools.product(range(height - ky + 1), range(width - kx + 1)):
            y, x = row - (height - ky) / 2, col - (width - kx) / 2
            if np.hypot(y, x) + reach > (min(height, width) - 1) / 2 + 1e-9:
                continue
            X = np.array([plane[row + MARGIN, col + MARGIN] for plane in patches])
            Y = np.array([plane[row + MARGIN, col + MARGIN] for plane in responses])
            sums[:, g] += [np.outer(X, X), np.outer(X, Y), np.outer(Y, Y)]
            points += g == 0
    return sums / points, points


@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize(("group", "kernel_size", "size"), [
    (C8, (3, 3), (10, 10)), (C8, (2, 2), (9, 9)), (Cyclic(5), (3, 3), (9, 11)), (Dihedral(3), (3, 3), (9, 9)),
    (Dihedral(8), (3, 3), (8, 8)), (Cyclic(6), (2, 4), (12, 12)),
], ids=str)  # fmt: skip
def test_moments_are_those_of_turned_images_and_turned_response_maps(order, group, kernel_size, size):
    images = torch.randn(2, 1, *size, dtype=torch.float64)
    for standardize in (True, False):
        moments = measure_moments(images, group, kernel_size, order=order, standardize=standardize)
        expected, points = naive(images, group, kernel_size, order, standardize)
        assert moments.num_points == points
        for found, wanted in zip((moments.patches, moments.cross, moments.responses), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("group", "count"), [(C8, 2), (Cyclic(4), 1), (Dihedral(8), 2), (Cyclic(5), 5), (Cyclic(6), 3)]
)
def test_measures_only_what_exact_moves_cannot_supply(group, count):
    assert len(Moments(group, 3).measured) == count


@pytest.mark.parametrize("group", [C8, Dihedral(8)], ids=str)
def test_completed_elements_are_those_of_exactly_turned_images(group, smooth):
    # The patches of a turned image are the patches of the image that was turned by hand.
    moments = measure_moments(smooth, group, 3)
    for g, quarters in ((2, 1), (4, 2), (6, 3)):
        turned = measure_moments(torch.rot90(smooth, quarters, (-2, -1)), group, 3)
        torch.testing.assert_close(moments.patches[g], turned.patches[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(moments.patches[(1 + g) % 8], turned.patches[1], rtol=0, atol=1e-12)


def same(a: Moments, b: Moments) -> None:
    assert (a.num_images, a.num_points) == (b.num_images, b.num_points)
    torch.testing.assert_close(a.sums, b.sums, rtol=1e-12, atol=0)


def test_batches_add_up_in_any_order(smooth):
    whole = measure_moments(smooth, C8, 3)
    same(measure_moments(smooth.split(7), C8, 3), whole)
    same(measure_moments(reversed(smooth.split(7)), C8, 3), whole)
    same(measure_moments((batch for batch in smooth.split(40)), C8, 3), whole)


def test_sums_of_two_streams_are_those_of_both(smooth):
    a, b = measure_moments(smooth[:15], C8, 3), measure_moments(smooth[15:], C8, 3)
    before = a.sums.clone()
    same(a + b, measure_moments(smooth, C8, 3))
    assert torch.equal(a.sums, before)


def test_memory_is_bounded_without_changing_the_sums(smooth, monkeypatch):
    whole = measure_moments(smooth, C8, 3)
    largest, counts = 0, []

    def spy(coefficients, rows, *rest):
        nonlocal largest
        largest = max(largest, rows.shape[1])
        counts.append(len(coefficients))
        return sample_spline(coefficients, rows, *rest)

    monkeypatch.setattr("orbitconv.learn.moments.sample_spline", spy)
    for memory, few in ((6 * 2**20, False), (2**17, True)):
        monkeypatch.setattr("orbitconv.learn.moments._WORKING_MEMORY", memory)
        largest, counts = 0, []
        same(measure_moments(smooth, C8, 3), whole)
        assert 1 < max(counts) < len(smooth)  # images are split
        assert (largest < 9 * whole.num_points // len(smooth)) == few  # and, where one alone is too much, points
        assert largest * 16 * 16 < memory  # an index and a weight for each of 16 taps


def test_channels_count_as_grey_images(smooth):
    same(measure_moments(smooth.reshape(10, 4, 24, 24), C8, 3), measure_moments(smooth, C8, 3))


def test_standardized_images_ignore_brightness_and_contrast(smooth):
    torch.testing.assert_close(
        measure_moments(3 * smooth + 7, C8, 3).cross, measure_moments(smooth, C8, 3).cross, rtol=0, atol=1e-12
    )


def test_constant_images_are_left_out(smooth):
    mixed = torch.cat([torch.full((3, 1, 24, 24), 0.7, dtype=torch.float64), smooth])
    same(measure_moments(mixed, C8, 3), measure_moments(smooth, C8, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.7, 200.1, -1234.567])
@pytest.mark.parametrize(("size", "whiten"), [(24, False), (24, True), (23, True)])
def test_refuses_constant_images(value, dtype, size, whiten):
    with pytest.raises(ValueError, match="Moments expects images with some contrast, got 4 constant ones"):
        measure_moments(torch.full((4, 1, size, size), value, dtype=dtype), C8, 3, whiten=whiten)


def test_a_batch_without_contrast_does_not_stop_the_stream(smooth):
    blank = torch.full((3, 1, 24, 24), 0.7, dtype=torch.float64)
    moments = measure_moments([blank, smooth, blank[:1]], C8, 3)
    same(moments, measure_moments(smooth, C8, 3))
    assert moments.num_constant == 4
    with pytest.raises(ValueError, match="some contrast, got 3 constant ones"):
        _ = Moments(C8, 3).update(blank).cross


@pytest.mark.parametrize("options", [{}, {"whiten": True}, {"whiten": True, "standardize": False}], ids=str)
def test_an_empty_batch_adds_nothing(smooth, options):
    moments = Moments(C8, 3, **options).update(smooth[:0]).update(smooth).update(smooth[:0])
    same(moments, measure_moments(smooth, C8, 3, **options))


def test_faint_images_are_not_taken_for_constant_ones(smooth):
    faint = measure_moments((1e-9 * smooth).float(), C8, 3)
    assert faint.num_images == len(smooth)
    torch.testing.assert_close(faint.cross, measure_moments(smooth, C8, 3).cross, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_refuses_values_that_are_not_finite(smooth, bad):
    images = smooth.clone()
    images[3, 0, 5, 5] = bad
    with pytest.raises(ValueError, match="Moments expects finite images, got 1 NaN or infinite values among 23040"):
        measure_moments(images, C8, 3)


@pytest.mark.parametrize("kernel_size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (3, 5), (2, 3), (3, 4)])
def test_refuses_images_without_room_for_a_turned_patch_and_tells_how_much_it_needs(kernel_size):
    def takes(height, width):
        try:
            images = torch.randn(1, 1, height, width)
            return Moments(C8, kernel_size, standardize=False).update(images).num_points > 0
        except ValueError as error:
            refusals.append((str(error), height, width))
        return False

    refusals = []
    taken = {sides for sides in itertools.product(range(1, 20), repeat=2) if takes(*sides)}
    always = next(n for n in range(1, 20) if all((h, w) in taken for h in range(n, 20) for w in range(n, 20)))
    square = next(n for n in range(1, 20) if (n, n) in taken)
    expected = f"at least {always} pixels a side" + (f", or {square}x{square} pixels" if square < always else "")
    for message, height, width in refusals:
        assert f"Moments expects images of {expected} for a kernel of {kernel_size}, so that" in message
        assert f"got images of {height}x{width}. Use larger images" in message


@pytest.mark.parametrize(
    ("kernel_size", "size", "needed"), [(3, 4, "at least 5 pixels"), (5, 8, "at least 9 pixels a side, or 7x7 pixels")]
)
def test_the_size_that_images_need_is_not_the_one_they_have(kernel_size, size, needed):
    with pytest.raises(ValueError, match=rf"images of {needed} .* got images of {size}x{size}"):
        Moments(C8, kernel_size).update(torch.randn(2, 1, size, size))


RANKS = ((24, 24), (4, 24, 24), (1, 4, 1, 24, 24))
OTHERS = (Moments(C8, 5), Moments(Cyclic(4), 3), Moments(C8, 3, order=5), Moments(C8, 3, whiten=True))


@pytest.mark.parametrize(("call", "error", "message"), [
    *((lambda shape=shape: Moments(C8, 3).update(torch.randn(shape)), ValueError,
       r"Moments expects images of shape \(batch, channels, height, width\), got") for shape in RANKS),
    *((lambda dtype=dtype: Moments(C8, 3).update(torch.ones(2, 1, 24, 24, dtype=dtype)), TypeError,
       rf"floating-point images, got {dtype}. Divide them by 255 first") for dtype in (torch.uint8, torch.int64)),
    (lambda: measure_moments(torch.randn(1, 1, 9, 9), C8, 5), ValueError,
     "at least 50 patches to tell 25 pixels apart, got 5 from 1 images"),
    (lambda: measure_moments([], C8, 3), ValueError, "at least one batch of images, got an empty iterable"),
    (lambda: Moments(C8, 3).cross, ValueError, "hold no images yet: call update"),
    *((lambda other=other: Moments(C8, 3) + other, ValueError, "same settings only") for other in OTHERS),
    (lambda: measure_moments(smooth_images(), C8, 3, order=2), ValueError, r"orders .*got 2"),
])  # fmt: skip
def test_refuses_what_does_not_fit(call, error, message):
    refuses(error, message, call)


def test_memory_for_one_point_of_one_image_is_enough(monkeypatch):
    images = smooth_images(2, 9)
    whole = measure_moments(images, C8, (2, 3))
    monkeypatch.setattr("orbitconv.learn.moments._WORKING_MEMORY", 1)
    same(measure_moments(images, C8, (2, 3)), whole)


def test_the_size_of_batches_does_not_show_in_float32_either(smooth):
    images = smooth.float().repeat(30, 1, 1, 1)
    whole = Moments(Cyclic(8), 3).update(images)
    parts = Moments(Cyclic(8), 3)
    for batch in images.split(7):
        parts.update(batch)
    torch.testing.assert_close(parts.cross, whole.cross, rtol=0, atol=1e-12 * float(whole.cross.abs().max()))
