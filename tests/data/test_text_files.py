import gzip

import pytest

from dlrecipes.data.text_files import read_text
from dlrecipes.errors import DataError


@pytest.mark.parametrize("name", ["text.txt", "text.txt.gz", "text"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf8_is_read_gzipped_or_not_under_any_name(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack("\ufeff明月\r\n夜".encode()))
    assert read_text(tmp_path / name) == "明月\r\n夜"


def test_a_byte_outside_utf8_is_reported_with_its_line(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"fine\nfine\n\xb0")
    with pytest.raises(DataError, match=r"text\.txt:3: byte 0xb0 is not UTF-8\. Save"):
        read_text(tmp_path / "text.txt")


def test_truncated_and_damaged_gzip_files_are_reported(tmp_path):
    whole = gzip.compress(bytes(range(256)) * 99)
    for damaged in (whole[:-20], whole[:15], whole[:20] + b"\xff" * 9 + whole[29:]):
        (tmp_path / "text.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="is a damaged gzip file"):
            read_text(tmp_path / "text.gz")


def test_a_missing_file_is_reported_with_the_nearest_name_or_the_hint(tmp_path):
    (tmp_path / "poems.txt").touch()
    with pytest.raises(DataError, match=r"does not exist\. Did you mean 'poems\.txt'\?"):
        read_text(tmp_path / "poem.txt")
    with pytest.raises(DataError, match=r"does not exist\. Give a novel\."):
        read_text(tmp_path / "no" / "where", "Give a novel.")


def test_folders_and_impossible_paths_are_reported(tmp_path):
    with pytest.raises(DataError, match=r"expected a file, got a folder\. Give a novel\."):
        read_text(tmp_path, "Give a novel.")
    with pytest.raises(DataError, match="cannot be read"):
        read_text("a\0b")
