import gzip
import struct

import numpy as np
import pytest

from dlrecipes.data.idx import is_idx_folder, read_idx, read_idx_folder
from dlrecipes.errors import DataError


def idx(array, code=0x08):
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def images(count=3):
    return np.arange(count * 4 * 5, dtype="u1").reshape(count, 4, 5)


def write(folder, count=3, suffix="", **changed):
    files = {
        "train-images-idx3-ubyte": idx(images(count)),
        "train-labels-idx1-ubyte": idx(np.arange(count, dtype="u1")),
        "t10k-images-idx3-ubyte": idx(images(2)),
        "t10k-labels-idx1-ubyte": idx(np.array([1, 0], "u1")),
        **{name.replace("_", "-"): content for name, content in changed.items()},
    }
    for name, content in files.items():
        if content is not None:
            whole = gzip.compress(content) if suffix == ".gz" else content
            (folder / (name + suffix)).write_bytes(whole)


@pytest.mark.parametrize(
    "dtype, code",
    [("u1", 0x08), ("i1", 0x09), (">i2", 0x0B), (">i4", 0x0C), (">f4", 0x0D), (">f8", 0x0E)],
)
def test_every_type_of_the_format_is_read(tmp_path, dtype, code):
    array = np.array([[1, 2, 3], [4, 5, 100]], dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    content = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(content, array)
    assert content.dtype.isnative


def test_gzipped_files_are_recognized_by_their_content(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(idx(images())))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), images())


WHOLE = idx(images())


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x07\1", "not an IDX file: it begins with 00 00 07 01"),
        (WHOLE[:7], "ends within its header, after 7 bytes"),
        (WHOLE[:-1], "expected 60 bytes of data for 3 x 4 x 5, got 59. The file is truncated"),
        (WHOLE + b"x", "expected 60 bytes of data for 3 x 4 x 5, got 61. It is damaged"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "gzip file is damaged"),
        (b"\x1f\x8bnonsense", "gzip file is damaged"),
    ],
)
def test_damage_is_reported_in_one_line_with_the_file(tmp_path, content, message):
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(tmp_path / "images")
    assert str(tmp_path / "images") in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DataError, match="none: No such file"):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_with_the_names_of_mnists_files_is_read(tmp_path, suffix):
    write(tmp_path, suffix=suffix)
    assert is_idx_folder(tmp_path)
    splits = read_idx_folder(tmp_path)
    np.testing.assert_array_equal(splits["train"][0], images())
    assert splits["train"][1].tolist() == [0, 1, 2]
    assert splits["test"][1].tolist() == [1, 0]


def write_named(folder, prefix, **changed):
    write(folder, **changed)
    for file in list(folder.iterdir()):
        name = file.name.replace("-idx", ".idx").replace("t10k", "test")
        file.rename(folder / (prefix + name))


@pytest.mark.parametrize("prefix", ["fashion-", "kmnist_", "femnist-", "qmnist-"])
def test_names_with_prefixes_and_dots_are_recognized(tmp_path, prefix, capsys):
    write_named(tmp_path, prefix)
    np.testing.assert_array_equal(read_idx_folder(tmp_path)["train"][0], images())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("prefix", ["emnist-digits-", "EMNIST_letters."])
def test_emnists_images_are_transposed_and_this_is_said(tmp_path, prefix, capsys):
    write_named(tmp_path, prefix)
    np.testing.assert_array_equal(
        read_idx_folder(tmp_path)["train"][0], images().transpose(0, 2, 1)
    )
    assert capsys.readouterr().err == (
        f"Note: {tmp_path}: rows and columns of the images are swapped, because the files are "
        "named emnist. --orientation upright leaves them as they are.\n"
    )
    np.testing.assert_array_equal(read_idx_folder(tmp_path, "upright")["train"][0], images())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("orientation", ["auto", "upright"])
def test_files_of_other_names_in_a_folder_named_emnist_are_read_as_said(
    tmp_path, orientation, capsys
):
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    write(folder)
    np.testing.assert_array_equal(read_idx_folder(folder, orientation)["train"][0], images())
    is_noted = "--orientation transposed swaps them" in capsys.readouterr().err
    assert is_noted == (orientation == "auto")


def test_files_of_other_names_are_transposed_on_request(tmp_path):
    write(tmp_path)
    parts = read_idx_folder(tmp_path, "transposed")
    np.testing.assert_array_equal(parts["test"][0], images(2).transpose(0, 2, 1))


def test_the_first_column_of_qmnists_labels_is_the_class(tmp_path):
    rows = np.arange(24, dtype=">i4").reshape(3, 8)
    labels = {"qmnist_train_labels_idx2_int": idx(rows, 12), "train_labels_idx1_ubyte": None}
    write(tmp_path, **labels)
    assert read_idx_folder(tmp_path)["train"][1].tolist() == [0, 8, 16]


def test_images_and_labels_of_other_types_are_converted(tmp_path):
    write(
        tmp_path,
        train_images_idx3_ubyte=idx(images().astype(">i4"), 0x0C),
        train_labels_idx1_ubyte=idx(np.array([2, 0, 1], ">f4"), 0x0D),
        t10k_images_idx3_ubyte=idx((images(2) / 255).astype(">f8"), 0x0E),
    )
    parts = read_idx_folder(tmp_path)
    np.testing.assert_array_equal(parts["train"][0], images())
    np.testing.assert_array_equal(parts["test"][0], images(2))
    assert parts["train"][1].tolist() == [2, 0, 1]
    assert {array.dtype.name for pair in parts.values() for array in pair} == {"uint8", "int32"}


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"t10k_labels_idx1_ubyte": None}, r"t10k-labels-idx1-ubyte\[.gz\] is missing"),
        ({"train_labels_idx1_ubyte": idx(np.arange(2, dtype="u1"))}, r"3 images, but 2 labels"),
        ({"train_images_idx3_ubyte": idx(np.zeros((3, 4), "u1"))}, r"got \(3, 4\)"),
        ({"train_labels_idx1_ubyte": idx(np.full(3, 0.5, ">f4"), 0x0D)}, "not whole numbers"),
        ({"train_labels_idx1_ubyte": idx(np.full(3, np.nan, ">f4"), 0x0D)}, "not whole numbers"),
        ({"train_images_idx3_ubyte": idx(-images().astype(">i2"), 0x0B)}, "negative values"),
        (
            {"t10k_images_idx3_ubyte": idx(np.zeros((2, 4, 4), "u1"))},
            "the training images are 4 x 5, but the test images 4 x 4",
        ),
        (
            {
                "t10k_images_idx3_ubyte": idx(np.zeros((0, 4, 5), "u1")),
                "t10k_labels_idx1_ubyte": idx(np.zeros(0, "u1")),
            },
            "there are no images",
        ),
    ],
)
def test_files_that_do_not_match_are_reported(tmp_path, changed, message):
    write(tmp_path, **changed)
    with pytest.raises(DataError, match=message):
        read_idx_folder(tmp_path)


def test_two_files_for_one_split_are_rejected_but_a_gzipped_copy_is_not(tmp_path):
    write(tmp_path)
    write(tmp_path, suffix=".gz")
    assert len(read_idx_folder(tmp_path)["train"][0]) == 3
    (tmp_path / "b-train-images-idx3-ubyte").write_bytes(WHOLE)
    with pytest.raises(DataError, match="expected one train-images-idx3-ubyte"):
        read_idx_folder(tmp_path)
