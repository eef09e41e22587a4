"""Mistakes in files and folders of tagged sentences are named with their place."""

from pathlib import Path

import pytest
from tagged_case import refusal, sequences, write


def with_test(files):
    return {
        **files,
        **sequences("so\n", "O\n", split="test"),
        **sequences("x\n", "O\n", None, "dev"),
    }


# --- mistakes in files


@pytest.mark.parametrize("tag", ["city", "X-city", "B-", "b"])
def test_a_tag_that_does_not_parse_is_named_with_its_line(tmp_path, tag):
    write(tmp_path, with_test(sequences("a b\nc Rome\n", f"O O\nO {tag}\n")))
    message = refusal(tmp_path)
    assert f"{tmp_path}/train/seq.out:2: the tag '{tag}' of word 2, 'Rome', does not" in message
    assert "such as B-city" in message
    write(tmp_path / "conll", {"train.txt": f"a O\n\nb O\nRome {tag}\n", "test.txt": "a O\n"})
    write(tmp_path / "conll", {"dev.txt": f"Rome {tag}\n"})
    message = refusal(tmp_path / "conll")
    assert (
        f"conll/train.txt:4: the tag '{tag}' of word 2, 'Rome', does not parse (and 1 " in message
    )


def test_an_iobes_mistake_is_named_with_its_line_and_the_tag_that_implies_iobes(tmp_path):
    train = "a O\nb B-x\nc O\n\nd B-x\n\ne B-x\nf E-x\n"
    write(tmp_path, {"train": train, "dev": "a O\n", "test": "a O\nb S-x\n"})
    message = refusal(tmp_path)
    assert f"{tmp_path}/train:2: the span of 'B-x' ends without E-x (word 2) (and 1 more" in message
    assert f"read as IOBES because of 'E-x' at {tmp_path}/train:8." in message


def test_mixed_iobes_and_bilou_is_rejected(tmp_path):
    write(tmp_path, {"train": "a S-x\n", "dev": "a U-x\n", "test": "a O\n"})
    message = refusal(tmp_path)
    assert "dev:1: the tag 'U-x' is not a tag of IOBES (word 1)." in message
    assert "train:1" in message


def test_words_and_tags_of_different_counts_are_named_with_line_and_counts(tmp_path):
    write(tmp_path, with_test(sequences("a\nb c d\ne f\n", "O\nO O\nO\n")))
    message = refusal(tmp_path)
    folder = tmp_path / "train"
    assert f"{folder}/seq.out:2: 2 tags, but {folder}/seq.in:2 has 3 words (and 1 more" in message


@pytest.mark.parametrize("short", ["seq.out", "seq.in", "label"])
def test_files_of_different_lengths_are_named(tmp_path, short):
    files = sequences("a\nb\nc\n", "O\nO\nO\n", "x\nx\nx\n")
    files[f"train/{short}"] = files[f"train/{short}"][:4]
    write(tmp_path, with_test(files))
    message = refusal(tmp_path)
    long = "seq.out" if short == "seq.in" else "seq.in"
    assert f"{tmp_path}/train/{long}:3: the line has no counterpart" in message
    assert f"{long} has 3 lines, {short} has 2" in message


@pytest.mark.parametrize("name", ["seq.in", "seq.out", "label"])
def test_a_blank_line_in_the_middle_is_an_empty_sentence(tmp_path, name):
    files = sequences("a\nb\nc\n", "O\nO\nO\n", "x\nx\nx\n")
    files[f"train/{name}"] = "O\n \t\nO\n\n\n"
    write(tmp_path, with_test(files))
    assert f"{tmp_path}/train/{name}:2: the line is empty. Each line is" in refusal(tmp_path)


def test_a_conll_line_of_one_column_is_named(tmp_path):
    write(tmp_path, {"train.txt": "a O\nRome\n\nb\nc O\n", "test.txt": "a O\n"})
    message = refusal(tmp_path)
    expected = "expected a word and its tag, got one column, 'Rome' (and 1 more"
    assert f"{tmp_path}/train.txt:2: {expected}" in message
    assert "tabs or spaces" in message


def test_a_word_with_a_space_between_tabs_is_rejected(tmp_path):
    write(tmp_path, {"train.txt": "a\tO\nNew York\tB-city\n", "test.txt": "a O\n"})
    assert "train.txt:2: the word 'New York' contains a space." in refusal(tmp_path)


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    write(tmp_path, {"train.txt": b"a O\nb O\nZ\xfcrich B-city\n", "test.txt": "a O\n"})
    message = refusal(tmp_path)
    assert f"{tmp_path}/train.txt:3: byte 0xfc is not UTF-8. Save the file as UTF-8" in message


@pytest.mark.parametrize("content", ["", "\n\n", " \t\r\n", "\ufeff"])
def test_an_empty_file_is_rejected(tmp_path, content):
    write(tmp_path, {"train.txt": content, "test.txt": "a O\n"})
    assert f"{tmp_path}/train.txt is empty." in refusal(tmp_path)
    write(tmp_path / "s", with_test(sequences("a\n", content)))
    assert "train/seq.out is empty." in refusal(tmp_path / "s")


def test_a_file_with_only_comments_is_rejected(tmp_path):
    write(tmp_path, {"train.txt": "# nothing here\n\n-DOCSTART- O\n", "test.txt": "a O\n"})
    message = refusal(tmp_path)
    assert f"{tmp_path}/train.txt contains no sentences. Expected lines with a word" in message


# --- mistakes in folders


def test_a_missing_path_is_reported_with_the_nearest_name(tmp_path):
    (tmp_path / "atis").mkdir()
    assert refusal(tmp_path / "atiss") == f"{tmp_path}/atiss does not exist. Did you mean 'atis'?"
    message = refusal(tmp_path / "none" / "atis")
    assert message.endswith(f"Nor does the folder {tmp_path}/none.")
    assert "Give a folder with train/" in refusal(tmp_path / "zzzzzz")


def test_an_empty_folder_is_rejected_with_the_layouts(tmp_path):
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path} is empty. Give a folder with train/")
    assert "seq.in" in message and "CoNLL" in message


def test_a_folder_without_train_is_rejected_with_the_nearest_name(tmp_path):
    write(tmp_path, {"trian.txt": "a O\n", "test.txt": "a O\n"})
    message = refusal(tmp_path)
    assert f"{tmp_path} has no training data (train). Did you mean 'trian.txt'?" in message


def test_a_folder_without_test_is_rejected(tmp_path):
    write(tmp_path, {"train.txt": "a O\n", "dev.txt": "a O\n"})
    message = refusal(tmp_path)
    hint = f"Add it, or give only {tmp_path}/train.txt"
    assert f"{tmp_path} has no test data (test). {hint}" in message


def test_two_files_of_one_split_are_rejected(tmp_path):
    write(tmp_path, {"train.txt": "a O\n", "train.conll": "a O\n"})
    assert "both train.conll and train.txt hold the train part. Keep one" in refusal(tmp_path)


@pytest.mark.parametrize("missing", ["seq.in", "seq.out"])
def test_a_missing_file_of_a_split_is_named(tmp_path, missing):
    files = with_test(sequences("a\n", "O\n"))
    files[f"train/{missing.replace('.', '_')}"] = files.pop(f"train/{missing}")
    write(tmp_path, files)
    message = refusal(tmp_path)
    assert f"{tmp_path}/train/{missing} is missing. Did you mean '{missing.replace('.', '_')}'" in (
        message
    )
    assert "A split holds seq.in" in message


def test_sequence_files_without_folders_are_rejected(tmp_path):
    write(tmp_path, {"train.seq.in": "a\n", "train.seq.out": "O\n", "train.label": "x\n"})
    assert "train.seq.in is not in a folder of its part. Put seq.in, seq.out" in refusal(tmp_path)


def test_a_single_file_of_a_split_is_rejected(tmp_path):
    write(tmp_path, sequences("a\n", "O\n"))
    message = refusal(tmp_path / "train/seq.in")
    assert f"seq.in is only a part of its dataset. Give the folder, {tmp_path}/train." in message
    (tmp_path / "train/seq.in").unlink()
    assert "train/seq.in is missing." in refusal(tmp_path / "train")


def test_a_folder_in_place_of_a_file_is_rejected(tmp_path):
    write(tmp_path, {"test.txt": "a O\n", "train/seq.in": "a\n", "train/seq.out/x": ""})
    assert f"{tmp_path}/train/seq.out: expected a file, got a folder." in refusal(tmp_path)


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    write(tmp_path, {"train.txt": "a O\n", "test.txt": "a O\n"})

    # Not chmod: root can read every file.
    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    message = refusal(tmp_path)
    assert f"{tmp_path}/train.txt cannot be read: Permission denied (and 1 more" in message
