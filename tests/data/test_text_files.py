import gzip

import pytest

from dlrecipes.data.text_files import read_file, read_text
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


POEM = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n"
TRADITIONAL = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n"


@pytest.mark.parametrize(
    ("text", "codec", "encoding"),
    [
        (POEM, "utf-8-sig", "UTF-8"),
        (POEM, "utf-16", "UTF-16"),
        ("to Rome\n\nB-city\n", "utf-16-le", "UTF-16"),
        ("to Rome\n\nB-city\n", "utf-16-be", "UTF-16"),
        # The character 一 has a zero byte at the place of ASCII's other one.
        (POEM, "utf-16-le", "UTF-16"),
        (POEM, "utf-16-be", "UTF-16"),
        ("我 O\n在 O\n上 B-LOC\n海 I-LOC\nParis B-LOC\n", "gb18030", "GB18030"),
        ("a\0b O\nfine B-x\n", "utf-8", "UTF-8"),
        (POEM, "utf-32", "UTF-32"),
        (POEM, "gb18030", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        (TRADITIONAL, "big5", "Big5"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_other_unicode_and_chinese_encodings_are_detected(tmp_path, text, codec, encoding, pack):
    (tmp_path / "text.txt").write_bytes(pack(text.encode(codec)))
    assert read_file(tmp_path / "text.txt") == (text, encoding)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Zürich liegt nicht in Österreich", "latin-1"),
        # An accented letter and the next one are the bytes of a common Chinese character.
        ("Shall I compare thée to a day? L'année et la journée", "latin-1"),
        ("Coruña NP B-LOC\nEspaña NP B-LOC\n", "latin-1"),
        ("Привет мир, это русский текст", "koi8-r"),
        ("한국어 텍스트 서울에 간다", "euc-kr"),
        ("日本語のテキストです。私は学生", "euc-jp"),
        ("日本語のテキストです。私は学生", "shift_jis"),
    ],
)
def test_no_other_encoding_is_taken_for_chinese(tmp_path, text, codec):
    (tmp_path / "text.txt").write_bytes(text.encode(codec))
    with pytest.raises(DataError, match=r"text\.txt:1: byte .* is not UTF-8"):
        read_text(tmp_path / "text.txt")


def test_bytes_that_contradict_their_byte_order_mark_are_refused(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"\xff\xfea\0b")
    with pytest.raises(DataError, match="the byte order mark says utf-16"):
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
