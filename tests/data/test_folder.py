"""Folders and tables of pictures as data sets."""

import csv
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from orbitconv.data import DataError, Scaling, folder
from raising import refuses

image_module = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack")
    else:
        image_module.fromarray(pixels).save(path)
    return pixels


def noise(seed, *shape, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8).astype(dtype)


def write_classes(root, counts, shape=(6, 8)):
    """Class folders of different pictures; returns pixels by path."""
    names = [root / f"{name}/{i:02}.png" for name, n in counts.items() for i in range(n)]
    return {path: write(path, noise(zlib.crc32(path.as_posix().encode()), *shape)) for path in names}


def write_masks(root, sizes, values=(0, 1), prefix=""):
    """Pictures beside masks."""
    for i, size in enumerate(sizes):
        write(root / f"images/{prefix}{i}.jpg", noise(zlib.crc32(str(root).encode()) + i, *size))
        write(root / f"masks/{prefix}{i}.png", np.random.default_rng(i).choice(values, size).astype(np.uint8))


def write_table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def names(data):
    return {path.name for path in data.names}


def test_class_folders_give_every_picture_once_with_the_class_of_its_folder(tmp_path):
    pixels = write_classes(tmp_path, {"dog": 20, "cat": 20})
    data = folder(tmp_path)
    assert (data.task, data.classes, data.channels) == ("classification", ("cat", "dog"), 1)
    seen = {}
    for part in (data.train, data.val, data.test):
        for i, path in enumerate(part.names):
            image, label = part[i]
            seen[path] = None
            assert data.classes[label] == path.parent.name
            np.testing.assert_allclose(image[0].numpy(), pixels[path] / 255, atol=1e-6)
    assert seen.keys() == pixels.keys()
    assert len(data.train) + len(data.val) + len(data.test) == 40


def test_a_split_has_the_same_shares_of_each_class_and_follows_from_the_seed(tmp_path):
    write_classes(tmp_path, {"a": 20, "b": 40, "c": 1})
    data = folder(tmp_path, val_share=0.25, test_share=0.1)
    assert data.found.counts == {"train": (13, 26, 1), "val": (5, 10, 0), "test": (2, 4, 0)}
    again, other = folder(tmp_path, val_share=0.25, test_share=0.1), folder(tmp_path, val_share=0.25, seed=1)
    assert data.train.names == again.train.names
    assert data.train.names != other.train.names


def test_a_recorded_split_is_reused_whatever_the_seed_and_refused_if_pictures_differ(tmp_path):
    write_classes(tmp_path / "pictures", {"a": 10, "b": 10})
    data = folder(tmp_path / "pictures", record=tmp_path / "run")
    assert not (tmp_path / "pictures" / "split.csv").exists()
    again = folder(tmp_path / "pictures", record=tmp_path / "run", seed=5)
    assert (data.train.names, data.test.names) == (again.train.names, again.test.names)
    write(tmp_path / "pictures/a/new.png", noise(0, 6, 8))
    with pytest.raises(DataError, match=r"1 were added and 0 are missing .*a/new\.png"):
        folder(tmp_path / "pictures", record=tmp_path / "run")
    (tmp_path / "run/split.csv").write_text("path,split\na/00.png,nowhere\n")
    refuses(DataError, r"split\.csv is no split", folder, tmp_path / "pictures", record=tmp_path / "run")


def test_splits_that_folders_name_are_kept_and_validation_is_drawn_from_training_if_asked(tmp_path):
    write_classes(tmp_path / "training", {"a": 10, "b": 10})
    write_classes(tmp_path / "test", {"a": 3, "b": 2})
    data = folder(tmp_path)
    assert data.found.counts == {"train": (10, 10), "test": (3, 2)}
    assert data.val is None
    data = folder(tmp_path, val_share=0.2)
    assert data.found.counts == {"train": (8, 8), "val": (2, 2), "test": (3, 2)}


def test_masks_are_found_by_stem_and_are_the_numbers_of_their_files(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        write_masks(tmp_path / part, [(32, 40)] * n, values=(0, 1, 2, 255))
    data = folder(tmp_path)
    assert (data.task, data.classes, len(data.train), len(data.test)) == ("segmentation", ("0", "1", "2"), 3, 2)
    image, mask = data.test[1]
    stored = np.asarray(image_module.open(tmp_path / "test/masks/1.png"))
    np.testing.assert_array_equal(mask.numpy(), stored)
    assert (image.shape, image.dtype, mask.dtype) == ((1, 32, 40), torch.float32, torch.int64)
    counts = [int((np.asarray(image_module.open(path)) == 1).sum()) for path in (tmp_path / "train/masks").iterdir()]
    assert data.found.counts["train"][1] == sum(counts)


@pytest.mark.parametrize(("values", "given", "classes", "codes"), [
    ((0, 255), {}, ("background", "foreground"), {0: 0, 255: 1}),
    ((0, 7), {}, ("background", "foreground"), {0: 0, 7: 1}),
    ((0, 3, 7), {"classes": {"sky": 0, "road": 7, "car": 3}}, ("sky", "road", "car"), {0: 0, 7: 1, 3: 2}),
    ((0, 1, 255), {"classes": ["a", "b"]}, ("a", "b"), {0: 0, 1: 1, 255: 255}),
    ((0, 1, 9), {"classes": ["a", "b"], "ignore_index": 9}, ("a", "b"), {0: 0, 1: 1, 9: 9}),
    ((0, 1, 2), {"objects": True}, ("background", "object"), {0: 0, 1: 1, 2: 1}),
])  # fmt: skip
def test_numbers_in_masks_become_classes(tmp_path, values, given, classes, codes):
    write_masks(tmp_path, [(32, 40)] * 8, values=values)
    data = folder(tmp_path, **given)
    assert data.classes == classes
    path = tmp_path / "masks" / data.train.names[0].with_suffix(".png").name
    stored = np.asarray(image_module.open(path))
    np.testing.assert_array_equal(data.train[0][1].numpy(), np.vectorize(codes.get)(stored))
    np.testing.assert_array_equal(data.train.numbered(0).numpy(), stored)


def test_many_numbers_are_taken_for_objects_and_said(tmp_path):
    write_masks(tmp_path, [(32, 40)] * 8, values=range(50))
    data = folder(tmp_path)
    assert data.objects
    assert "taken to number objects" in str(data.found)
    assert data.train[0][1].unique().tolist() == [0, 1]
    assert len(folder(tmp_path, objects=False).classes) == 50


@pytest.mark.parametrize("header", ["label", "two columns"])
def test_a_table_may_give_several_labels(tmp_path, header):
    for i in range(4):
        write(tmp_path / f"p/{i}.png", noise(i, 6, 8))
    columns = {"label": ["cat;dog", "dog", "", "cat"]}
    if header != "label":
        columns = {"cat": [1, 0, 0, 1], "dog": [1, 1, 0, 0]}
    columns = {"path": [f"p/{i}.png" for i in range(4)], **columns, "split": ["train", "train", "val", "test"]}
    data = folder(write_table(tmp_path / "t.csv", columns, zip(*columns.values(), strict=True)))
    assert (data.task, data.classes) == ("multilabel", ("cat", "dog"))
    assert [part[0][1].tolist() for part in (data.train, data.val, data.test)] == [[1, 1], [0, 0], [1, 0]]


def test_a_table_may_name_masks(tmp_path):
    write_masks(tmp_path, [(32, 40)] * 4)
    rows = [(f"images/{i}.jpg", f"masks/{i}.png") for i in range(4)]
    assert folder(write_table(tmp_path / "t.csv", ["image", "mask"], rows)).task == "segmentation"


def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path):
    write_classes(tmp_path, {str(i): 3 for i in (10, 9, 1)})
    assert folder(tmp_path).classes == ("1", "9", "10")


def test_numbers_deeper_than_bytes_are_scaled_by_percentiles_of_training_pictures_alone(tmp_path):
    for split, height in (("train", 1), ("test", 100)):
        for name in "ab":
            write(tmp_path / split / name / "0.tif", noise(ord(name), 40, 40, dtype=np.uint16) * height)
    data = folder(tmp_path)
    numbers = np.stack([tifffile.imread(path) for path in data.train.names])
    low, high = np.percentile(numbers, [0.5, 99.5])
    image, _ = data.test[0]
    expected = (tifffile.imread(data.test.names[0]) - low) / (high - low)
    np.testing.assert_allclose(image[0].numpy(), expected, rtol=1e-5)
    assert Scaling.from_json(data.scaling.to_json()) == data.scaling


def test_windows_are_parts_of_picture_and_mask_of_one_place(tmp_path):
    for i in range(3):
        rows, columns = np.mgrid[: 40 + i, : 50 + i]
        write(tmp_path / f"images/{i}.png", (rows * 4).astype(np.uint8))
        write(tmp_path / f"masks/{i}.png", (columns % 7).astype(np.uint8))
    data = folder(tmp_path, window=16, val_share=0, test_share=0)
    for i in range(3):
        image, mask = data.train[i, 123 + i]
        same, _ = data.train[i, 123 + i]
        torch.testing.assert_close(image, same)
        whole = image_module.open(tmp_path / f"images/{i}.png")
        top = round(float(image[0, 0, 0]) * 255 / 4)
        np.testing.assert_allclose(image[0].numpy() * 255, np.asarray(whole)[top : top + 16, :16], atol=1e-4)
        assert ((mask[0, 1:] - mask[0, :-1]) % 7 == 1).all()
    places = {(float(image[0, 0, 0]), int(mask[0, 0])) for image, mask in (data.train[0, seed] for seed in range(20))}
    assert len(places) > 10


def test_windows_of_files_that_are_scaled_by_their_own_range_are_parts_of_the_scaled_picture(tmp_path):
    write_masks(tmp_path, [(40, 50)] * 4)
    whole, parts = (folder(tmp_path, scaling="file", window=window, val_share=0, test_share=0) for window in (None, 16))
    image, part = whole.train[0][0], parts.train[0, 7][0]
    places = image.unfold(1, 16, 1).unfold(2, 16, 1).movedim(0, 2)  # every window there is
    assert (places == part).flatten(2).all(2).any()


def test_pictures_smaller_than_the_window_are_filled_up_and_ignored_there(tmp_path):
    write_masks(tmp_path, [(10, 40)] * 3)
    image, mask = folder(tmp_path, window=32).train[0]
    assert image.shape == (1, 32, 32)
    assert (mask[10:] == 255).all()
    assert not image[:, 10:].any()
    assert (mask[:10] != 255).all()


def test_training_pictures_of_many_sizes_are_cut_and_others_come_one_by_one(tmp_path):
    for part in ("train", "test"):
        write_masks(tmp_path / part, [(70, 100), (90, 80), (64, 200), (70, 100)], prefix=part)
    data = folder(tmp_path)
    assert "cut to 64x64" in str(data.found)
    assert [len(images) for images, _ in data.loader("test", 2)] == [1, 1, 1, 1]
    assert [tuple(images.shape) for images, _ in data.loader("train", 2)] == [(2, 1, 64, 64)] * 2


def test_labelled_pictures_of_many_sizes_are_resized_if_asked(tmp_path):
    write_classes(tmp_path / "train", {"a": 3}, (20, 30))
    write_classes(tmp_path / "train", {"b": 3}, (40, 30))
    refuses(DataError, r"20x30 to 40x30\. Choose size=", folder, tmp_path)
    images, labels = next(iter(folder(tmp_path, size=12).loader("train", 6)))
    assert images.shape == (6, 1, 12, 12)
    assert labels.sort().values.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("pages", "shape", "n"), [("pictures", (1, 6, 8), 12), ("channels", (3, 6, 8), 4)])
def test_pages_of_stacks_are_pictures_or_channels(tmp_path, pages, shape, n):
    for name in "ab":
        for i in range(2):
            write(tmp_path / name / f"{i}.tif", noise(i + ord(name), 3, 6, 8))
    refuses(DataError, r"stack of 3 pages.*pages='pictures'", folder, tmp_path)
    data = folder(tmp_path, pages=pages, val_share=0, test_share=0)
    assert (len(data.train), data.train[0][0].shape) == (n, shape)
    last = data.train[n - 1][0].numpy() * 255
    stack = tifffile.imread(tmp_path / "b/1.tif")
    np.testing.assert_allclose(last, stack[2:] if pages == "pictures" else stack, atol=1e-4)


def test_missing_data_is_zero_and_ignored(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    pixels = np.random.default_rng(0).random((8, 9)).astype(np.float32) + 5
    pixels[2, 3] = np.nan
    (tmp_path / "images").mkdir()
    fits.PrimaryHDU(pixels).writeto(tmp_path / "images/a.fits")
    write(tmp_path / "masks/a.png", (np.arange(72).reshape(8, 9) % 2).astype(np.uint8))
    image, mask = folder(tmp_path, val_share=0, test_share=0).train[0]
    assert (image[0, 2, 3], mask[2, 3]) == (0, 255)
    assert (mask != 255).sum() == 71


def test_balanced_batches_have_all_classes_equally_often_and_can_be_resumed(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 36})
    data = folder(tmp_path, val_share=0, test_share=0)
    loader = data.loader("train", 20, balanced=True)
    labels = [label for _ in range(20) for _, batch in loader for label in batch.tolist()]
    assert abs(np.mean(labels) - 0.5) < 0.06  # 2 standard deviations of 800 draws are 0.035
    again = data.loader("train", 20, balanced=True, epoch=3, first_step=1)
    assert next(iter(again))[1].tolist() == labels[3 * 40 + 20 : 3 * 40 + 40]


def test_everything_in_memory_is_what_the_items_are(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    data = folder(tmp_path, val_share=0, test_share=0).train
    images, labels = data.stacked()
    for i, (image, label) in enumerate(data):
        assert torch.equal(images[i], image)
        assert labels[i] == data.labels[i] == label


# Bad input


def test_empty_single_and_untrainable_classes_are_refused(tmp_path):
    write_classes(tmp_path, {"a": 3})
    refuses(DataError, "two classes or more, got a only", folder, tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/.hidden.png").touch()
    refuses(DataError, r"got none in .*b\. Add some", folder, tmp_path)
    write_classes(tmp_path / "other/train", {"a": 3, "c": 3})
    write_classes(tmp_path / "other/test", {"a": 3, "b": 3, "c": 3})
    refuses(DataError, "training pictures of every class, got none that can be read of b", folder, tmp_path / "other")


def test_folders_of_no_known_layout_say_what_is_there(tmp_path):
    for name in ("1.png", "2.png", "labels.csv"):
        (tmp_path / name).touch()
    refuses(DataError, r"class folders .*holds 1 x \.csv, 2 x \.png\. Name the table itself: .*csv", folder, tmp_path)
    refuses(DataError, "got nothing", folder, tmp_path / "missing")


def test_unreadable_pictures_are_named_counted_and_left_out_up_to_a_limit(tmp_path):
    write_classes(tmp_path, {"a": 10, "b": 10})
    (tmp_path / "a/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "b/notes.txt").touch()
    data = folder(tmp_path)
    assert "a/broken.png" in str(data.found)
    assert "b/notes.txt" in str(data.found)
    assert sum(data.found.pictures.values()) == 20
    (tmp_path / "a/empty.png").touch()
    refuses(
        DataError, r"cannot use 2 of 22 pictures .*max_unreadable=0\.01(.|\n)*broken\.png(.|\n)*empty", folder, tmp_path
    )
    assert sum(folder(tmp_path, max_unreadable=0.1).found.pictures.values()) == 20


def test_pictures_with_nan_count_as_unreadable(tmp_path):
    for name in "ab":
        for i in range(3):
            value = np.nan if (name, i) == ("a", 0) else ord(name) + i * 9
            write(tmp_path / name / f"{i}.tif", np.full((4, 4), value, np.float32))
    assert "NaN" in str(folder(tmp_path).found)


def test_masks_that_do_not_fit_are_refused(tmp_path):
    write_masks(tmp_path, [(32, 40)] * 3)
    write(tmp_path / "masks/1.png", np.zeros((32, 41), np.uint8))
    write(tmp_path / "masks/2.png", noise(0, 32, 40, 3))
    refuses(DataError, r"(?s)32x41 pixels, expected 32x40.*mask in colours", folder, tmp_path)
    write_masks(tmp_path / "gaps", [(32, 40)] * 3, values=(0, 3, 7))
    refuses(DataError, r"got the numbers 0, 3, 7\. Say which class has which", folder, tmp_path / "gaps")
    refuses(DataError, "got 7 as well", folder, tmp_path / "gaps", classes={"a": 0, "b": 3})
    write_masks(tmp_path / "flat", [(32, 40)] * 3, values=(0,))
    refuses(DataError, "two classes or more", folder, tmp_path / "flat")


def test_pictures_and_masks_without_a_partner_are_named(tmp_path):
    write_masks(tmp_path, [(32, 40)] * 4)
    (tmp_path / "masks/0.png").rename(tmp_path / "masks/other.png")
    text = str(folder(tmp_path).found)
    assert "pictures without a mask): images/0.jpg" in text
    assert "masks without a picture): masks/other.png" in text


def test_mixed_channels_must_be_chosen(tmp_path):
    write_classes(tmp_path, {"a": 4, "b": 4})
    write(tmp_path / "a/colour.png", noise(0, 6, 8, 3))
    refuses(DataError, r"8 of 1 channel, 1 of 3 channels\. Choose: channels=1 or channels=3", folder, tmp_path)
    for channels in (1, 3):
        data = folder(tmp_path, channels=channels, val_share=0, test_share=0)
        assert {tuple(image.shape) for image, _ in data.train} == {(channels, 6, 8)}


def test_tables_with_missing_files_unknown_splits_or_half_of_them_are_refused(tmp_path):
    write(tmp_path / "a.png", noise(0, 6, 8))
    write(tmp_path / "b.png", noise(1, 6, 8))
    header, table = ["path", "label", "split"], tmp_path / "t.csv"
    for rows, said in (
        ([("a.png", "x", "train"), ("gone.png", "y", "train")], r"1 files that are not there: .*gone\.png"),
        ([("a.png", "x", "train"), ("b.png", "y", "tset")], r"line 3: expected the split .* got 'tset'.*'test'"),
        ([("a.png", "x", "train"), ("b.png", "y", "")], "for 1 of 2 pictures"),
        ([("a.png", "x", "train"), ("a.png", "y", "train")], "more than once"),
        ([("a.png", "", "train")], "line 2: expected a label"),
        ([("a.png", "x")], "line 2: expected 3 cells as in the header, got 2"),
        ([("a.png", "x", "test"), ("b.png", "y", "test")], "pictures to train on"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            folder(write_table(table, header, rows))
    with pytest.raises(DataError, match="column 'label' or 'mask'"):
        folder(write_table(table, ["path", "split"], [("a.png", "train")]))


def test_a_picture_that_changes_under_way_is_refused(tmp_path):
    pixels = write_classes(tmp_path, {"a": 3, "b": 3})
    data = folder(tmp_path, val_share=0, test_share=0)
    path = data.train.names[0]
    write(path, noise(9, 6, 8))
    os.utime(path, ns=(0, 0))
    refuses(DataError, r"changed since the folder was looked at", lambda: data.train[0])
    path.unlink()
    refuses(DataError, Path(path).name, lambda: data.train[0])
    assert data.train[1][0].numpy() == pytest.approx(pixels[data.train.names[1]][None] / 255, abs=1e-6)


def test_errors_in_workers_read_as_those_of_one_process(tmp_path):
    write_classes(tmp_path, {"a": 3, "b": 3})
    data = folder(tmp_path, val_share=0, test_share=0)
    data.train.names[0].write_bytes(b"changed")
    with pytest.raises(DataError) as caught:
        list(data.loader("train", 6, workers=1))
    assert str(caught.value).startswith(f"{data.train.names[0]} changed since")


def test_names_that_are_no_utf_8_do_not_stop_it(tmp_path):
    root = tmp_path / "pictures"
    write_classes(root, {"a": 3, "b": 3})
    (root / "a/00.png").rename(os.fsdecode(os.fsencode(root) + b"/a/\xff.png"))
    Path(os.fsdecode(os.fsencode(root) + b"/b/\xfe.png")).touch()
    data = folder(root, record=tmp_path / "run", cache=tmp_path / "cache", val_share=0, test_share=0)
    assert len(data.train) == 6
    str(data.found).encode()
    assert folder(root, record=tmp_path / "run", val_share=0, test_share=0).train.names == data.train.names


def test_test_pictures_that_are_also_in_training_are_warned_of(tmp_path):
    pixels = write_classes(tmp_path / "train", {"a": 3, "b": 3})
    write_classes(tmp_path / "test", {"a": 3, "b": 3})
    write(tmp_path / "test/b/twin.png", next(iter(pixels.values())))
    with pytest.warns(UserWarning, match=r"1 of 7 test pictures are also in training.*twin\.png"):
        data = folder(tmp_path)
    assert "byte for byte" in str(data.found)


def test_arguments_that_contradict_each_other_are_refused(tmp_path):
    write_masks(tmp_path, [(32, 40)] * 3)
    refuses(ValueError, "a size or a window", folder, tmp_path, size=3, window=4)
    refuses(ValueError, "does not resize masks", folder, tmp_path, size=3)
    refuses(ValueError, "below 1 in sum", folder, tmp_path, val_share=0.5, test_share=0.5)
    with pytest.raises(ValueError, match="scaling of 1 channels, got one of 3"):
        folder(tmp_path, scaling=Scaling.by_type("uint8", (0, 255), 3))
