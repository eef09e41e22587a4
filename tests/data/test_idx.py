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


def test_names_with_prefixes_and_dots_are_recognized(tmp_path):
    write(tmp_path)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / ("emnist-digits-" + file.name.replace("-idx", ".idx")))
    assert len(read_idx_folder(tmp_path)["test"][0]) == 2


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"t10k_labels_idx1_ubyte": None}, r"t10k-labels-idx1-ubyte\[.gz\] is missing"),
        ({"train_labels_idx1_ubyte": idx(np.arange(2, dtype="u1"))}, r"3 images, but 2 labels"),
        ({"train_images_idx3_ubyte": idx(np.zeros((3, 4), "u1"))}, r"got uint8 of shape \(3, 4\)"),
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
