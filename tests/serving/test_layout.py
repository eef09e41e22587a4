"""SavedModels that are not served because of their folder get a note that says what to do."""

import pytest

from dlrecipes.serving.layout import layout_notes


def touch(folder):
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()


@pytest.mark.parametrize(
    ("folders", "notes"),
    [
        (["half/1", "half/00000123"], []),
        (
            ["half"],
            ["{}/half is not served: it has no version folder. Move its files to {}/half/1."],
        ),
        (
            ["half", "half/4"],
            ["{}/half is not served: it has no version folder. Move its files to {}/half/5."],
        ),
        (
            ["half/v1"],
            [
                "{}/half/v1 is not served: the name of a version folder is a number. Rename it to "
                "{}/half/1."
            ],
        ),
        (
            ["half/1", "half/latest", "half/v1.2"],
            [
                "{}/half/latest is not served: the name of a version folder is a number. Rename it "
                "to {}/half/2.",
                # The last number of its name is taken.
                "{}/half/v1.2 is not served: the name of a version folder is a number. Rename it "
                "to {}/half/3.",
            ],
        ),
        ([".hidden/v1", "half/.tmp", "half/1"], []),
        (
            ["team/half/1"],
            [
                "{}/team/half/1 is not served: it is too deep. Move its files to {}/half/1, or "
                "give --models {}/team."
            ],
        ),
    ],
)
def test_a_saved_model_outside_of_a_version_folder_is_noted(tmp_path, folders, notes):
    for folder in folders:
        touch(tmp_path / folder) if not (tmp_path / folder).exists() else None
    assert layout_notes(tmp_path) == [note.replace("{}", str(tmp_path)) for note in notes]


def test_files_next_to_models_are_not_noted(tmp_path):
    (tmp_path / "README.md").touch()
    (tmp_path / "empty").mkdir()
    assert layout_notes(tmp_path) == []


def test_a_folder_of_models_that_is_a_saved_model_is_noted(tmp_path):
    touch(tmp_path / "models" / "half" / "1")
    (note,) = layout_notes(tmp_path / "models" / "half" / "1")
    assert note.endswith(f"Give the folder of models: --models {tmp_path / 'models'}.")
    touch(tmp_path / "export")
    (note,) = layout_notes(tmp_path / "export")
    assert f"Move its files to {tmp_path / 'export' / 'NAME' / '1'}" in note


def test_a_folder_that_cannot_be_read_has_no_notes(tmp_path):
    assert layout_notes(tmp_path / "none") == []
