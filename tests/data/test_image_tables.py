"""CSV files of paths and labels are read as spreadsheets write them."""

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.image_tables import has_tables, read_image_tables
from dlrecipes.errors import DataError

NAMES = ("a.png", "b.png", "bilder/ü, 1.png")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bilder").mkdir()
    for name in NAMES:
        Image.fromarray(np.zeros((4, 4), "uint8")).save(tmp_path / name)
    return tmp_path


def read(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    notes = []
    return read_image_tables(path, notes.append), notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_spreadsheets_of_any_kind_are_read(folder, encoding, end, mark):
    rows = [("path", "label"), ("a.png", "Hund"), ("bilder/ü, 1.png", "Kätzchen")]
    text = end.join(mark.join(f'"{cell}"' for cell in row) for row in rows) + end + end
    files, notes = read(folder / "labels.csv", text, encoding)
    assert files == {
        "train": [(folder / "a.png", "Hund"), (folder / "bilder/ü, 1.png", "Kätzchen")]
    }
    assert notes == []


@pytest.mark.parametrize(
    "header", ["path,label", "Label,File Name", "id,image_path,class", "filename,category,split"]
)
def test_the_usual_names_of_columns_are_known(folder, header):
    row = {"path": "a.png", "label": "x", "Label": "x", "File Name": "a.png", "class": "x"}
    row |= {"image_path": "a.png", "id": "7", "filename": "a.png", "category": "x", "split": "trn"}
    line = ",".join(row[name] for name in header.split(","))
    assert read(folder / "t.csv", f"{header}\n{line}\n")[0] == {"train": [(folder / "a.png", "x")]}
    assert has_tables(folder)


def test_a_column_may_name_the_part(folder):
    text = "path,label,split\na.png,x,train\nb.png,x,Test\n"
    files, _ = read(folder / "t.csv", text)
    assert files == {"train": [(folder / "a.png", "x")], "test": [(folder / "b.png", "x")]}
    with pytest.raises(DataError, match=r"t\.csv:3: 'other' is not a part of the data"):
        read(folder / "t.csv", text.replace("Test", "other"))


def test_a_table_without_a_header_is_read_if_it_begins_with_a_file(folder):
    files, notes = read(folder / "t.csv", "a.png,x\nb.png,y\n")
    assert [label for _, label in files["train"]] == ["x", "y"]
    assert notes == [f"{folder / 't.csv'}: read without a header: a path and a label per line."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("path,label\n", "the file lists no images"),
        ("one,two\na.png,x\n", r"t\.csv:1: expected a header, got 'one,two'"),
        ("path,label\na.png,x\nb.png,\n", r"t\.csv:3: expected a path and a label, got 'b.png'"),
        ("path,label\na.png\n", r"t\.csv:2: expected a path and a label"),
        (
            "path,label\na.png,x\nb.png,y\na.png,y\n",
            r"t\.csv:4: a\.png has the label 'y', and 'x' in line 2\. Keep one",
        ),
        (
            "path,label\na.png,x\n1.png,x\n2.png,x\n3.png,x\n4.png,x\n",
            r"t\.csv: 4 of 5 files do not exist: .*1\.png, .*2\.png, .*3\.png, \.\.\.",
        ),
        ("path,label,split\na.png,x,test\n", "no line is for training"),
        ('path,label\na.png,"x\ny"\n', r"t\.csv:3: the label 'x\\ny' cannot be printed"),
        (
            'path,label\n"a.png,x\n' + 9000 * "b.png,yyyyyyyyy\n",
            r"t\.csv:2: field larger than field limit .*Close or delete the quotation mark",
        ),
    ],
)
def test_tables_that_make_no_sense_are_refused_in_one_line(folder, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(folder / "t.csv", text)
    assert "\n" not in str(caught.value)


def test_repeated_lines_are_read_once(folder):
    files, notes = read(folder / "t.csv", "path,label\na.png,x\na.png,x\nb.png,y\n")
    assert len(files["train"]) == 2
    assert notes == [f"{folder / 't.csv'}: 1 repeated lines are read once."]


def test_a_folder_may_hold_a_table_per_part(folder):
    for name, image in (("train", "a.png"), ("valid", "b.png")):
        (folder / f"{name}.csv").write_text(f"path,label\n{image},x\n")
    files = read_image_tables(folder, lambda note: None)
    assert files == {"train": [(folder / "a.png", "x")], "validation": [(folder / "b.png", "x")]}


def test_several_tables_that_are_not_parts_are_refused(folder):
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("path,label\na.png,x\n")
    with pytest.raises(DataError, match=r"several CSV files: one\.csv, two\.csv\. Give one"):
        read_image_tables(folder, lambda note: None)
