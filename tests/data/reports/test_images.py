"""A folder of images is read once; one problem does not hide the next."""

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import digits, faces, image_pairs
from dlrecipes.data.labelled_images import check_labelled_images
from dlrecipes.data.reports.images import all_images


def write(path, number=0, size=(24, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 255, (*size[::-1], 3), "uint8")
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes in train and test, 12 and 3 images each, all different."""
    root = tmp_path / "characters"
    for k in range(30):
        part, name = ("train", f"{k % 2}") if k < 24 else ("test", f"{k % 2}")
        write(root / part / name / f"é{k}.png", k)
    return root


def check(root):
    return digits.check_digits(root, "characters")


def rows(report, title):
    return next(table.rows for table in report.tables if table.title.startswith(title))


def text(findings):
    return "\n".join(map(str, findings))


def test_a_good_folder_has_no_findings(folder):
    report = check(folder)
    assert report.problems == report.warnings == []
    assert rows(report, "Classes") == [["0", 12, 3, "50.0%"], ["1", 12, 3, "50.0%"]]
    assert rows(report, "Parts") == [
        ["train", 24, 0, "24 x 20", "24 x 20", "24 x 20"],
        ["test", 6, 0, "24 x 20", "24 x 20", "24 x 20"],
    ]
    assert rows(report, "Formats") == [["PNG", "RGB", 30]]


def test_sizes_are_ordered_by_area(folder):
    write(folder / "train" / "0" / "large.png", 50, (60, 50))
    write(folder / "train" / "0" / "small.png", 51, (10, 90))
    assert rows(check(folder), "Parts")[0][3:] == ["24 x 20", "24 x 20", "60 x 50"]


def test_unreadable_files_are_counted_named_and_hide_nothing(folder):
    for k in range(5):
        (folder / "train" / "0" / f"bad{k}.jpg").write_text("no image")
    (folder / "test" / "1" / "copy.png").write_bytes(
        (folder / "train" / "1" / "é1.png").read_bytes()
    )
    report = check(folder)
    assert not report.usable
    assert "5 of 36 images cannot be used" in text(report.problems)
    assert "train/0/bad0.jpg: this is not an image" in text(report.problems)
    assert "... and 2 more" in text(report.problems)
    assert "test/1/copy.png = train/1/é1.png" in text(report.warnings)
    assert rows(report, "Parts")[0][1:3] == [24, 5]
    assert "examples" in report.figures


def test_a_class_of_test_alone_is_a_problem_and_all_images_are_read(folder):
    write(folder / "test" / "x" / "new.png", 77)
    report = check(folder)
    assert "the class 'x' does not occur in the training data" in text(report.problems)
    assert ["x", 0, 1, "0.0%"] in rows(report, "Classes")


def test_links_that_lead_nowhere_are_named_and_loops_end(folder):
    (folder / "train" / "0" / "gone.png").symlink_to(folder / "nothing")
    (folder / "train" / "1" / "up").symlink_to(folder)
    report = check(folder)
    assert "gone.png: this link leads nowhere" in text(report.problems)
    assert rows(report, "Parts")[0][1] == 24


def test_a_class_that_cannot_be_split_is_a_problem(tmp_path):
    for k in range(24):
        write(tmp_path / "two" / f"{k % 2}" / f"{k}.png", k)
    assert check(tmp_path / "two").usable
    write(tmp_path / "two" / "2" / "lonely.png", 99)
    report = check(tmp_path / "two")
    assert "'2' has" in text(report.problems)
    assert "1 class has fewer than 10 images" in text(report.warnings)


def test_a_folder_without_images_is_one_problem(tmp_path):
    report = check(tmp_path)
    assert len(report.problems) == 1 and not report.tables and not report.figures


def test_tiny_images_are_a_warning(folder):
    write(folder / "train" / "0" / "dot.png", 5, (1, 1))
    assert "train/0/dot.png: 1 x 1" in text(check(folder).warnings)


def test_every_file_is_read_once(folder, monkeypatch):
    opened = []
    own = Image.open

    def record(file, *args, **options):
        opened.append(getattr(file, "name", file))
        return own(file, *args, **options)

    monkeypatch.setattr(Image, "open", record)
    monkeypatch.setattr("dlrecipes.data.reports.images.ImageCheck.add_sheet", lambda *_: None)
    check(folder)
    files = [str(path) for path in folder.rglob("*.png")]
    # The header, then the pixels, of the same open file.
    assert sorted(map(str, opened)) == sorted(2 * files)


def test_people_are_summarized_and_shared_ones_refused(tmp_path):
    for k in range(60):
        part = ("train", "validation", "test")[k // 20]
        write(tmp_path / part / f"{'abc'[k // 20]}{k % 4}" / f"{k}.png", k)
    report = faces.check_faces(tmp_path, "people")
    assert report.usable
    assert rows(report, "People")[0] == ["train", 4, 5, 5, 5, 0]
    (tmp_path / "test" / "c0").rename(tmp_path / "test" / "A0")
    assert "also occurs in train" in text(faces.check_faces(tmp_path, "people").problems)


def test_a_person_in_two_folders_is_found(tmp_path):
    for k in range(32):
        write(tmp_path / f"person {k % 8}" / f"{k}.png", k)
    copy = tmp_path / "person 1" / "copy.png"
    copy.write_bytes((tmp_path / "person 0" / "0.png").read_bytes())
    assert "more than one label: 1." in text(faces.check_faces(tmp_path, "people").warnings)


def test_pairs_that_cannot_be_halved_are_all_named(tmp_path):
    for k in range(12):
        write(tmp_path / f"{k}.png", k, (40, 20))
    write(tmp_path / "odd.png", 20, (41, 20))
    write(tmp_path / "other.png", 21, (43, 20))
    report = image_pairs.check_pairs(tmp_path, "pairs", "side_by_side")
    found = text(report.problems)
    assert "2 of 14 images" in found and "odd.png" in found and "other.png" in found


def test_pairs_in_folders_are_counted_and_unmatched_files_noted(tmp_path):
    for k in range(12):
        for side in "AB":
            write(tmp_path / side / f"{k}.png", 100 * (side == "A") + k)
    write(tmp_path / "A" / "alone.png", 300)
    report = image_pairs.check_pairs(tmp_path, "pairs")
    assert rows(report, "Pairs") == [["train", 12, "folders"]]
    assert "without a partner" in "".join(report.notes)


def test_images_of_a_folder_of_any_kind_are_found_by_its_names(folder):
    (folder / ".hidden").mkdir()
    write(folder / ".hidden" / "x.png")
    problems = []
    files = all_images(folder, problems)
    assert {part: sorted(own) for part, own in files.items()} == {
        "train": ["0", "1"],
        "test": ["0", "1"],
    }
    assert problems == []


def test_files_that_a_recipe_skips_are_a_warning(folder):
    (folder / "train" / "0" / "bad.jpg").write_text("no image")
    write(folder / "train" / "0" / "dot.png", 5, (1, 1))
    report = check_labelled_images(folder, "photos", balance=True)
    assert report.usable
    assert "2 of 32 images cannot be used, and are skipped." in text(report.warnings)
    assert rows(report, "Parts")[0][1:3] == [24, 2]


def test_a_class_without_a_readable_image_is_a_problem(folder):
    (folder / "train" / "2").mkdir()
    (folder / "train" / "2" / "bad.jpg").write_text("no image")
    report = check_labelled_images(folder, "photos")
    assert "no image of the class '2' can be used" in text(report.problems)


def test_a_table_of_images_is_checked_and_its_mistakes_are_problems(folder):
    table = folder.parent / "labels.csv"
    names = sorted(path.relative_to(folder.parent) for path in folder.rglob("*.png"))
    lines = [f"{name},{name.parent.name}" for name in names]
    table.write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    assert rows(check_labelled_images(table, "photos"), "Classes")[0][:2] == ["0", 15]
    table.write_text("\n".join(["path,label", *lines, "gone.png,0"]), encoding="utf-8")
    assert "gone.png" in text(check_labelled_images(table, "photos").problems)
