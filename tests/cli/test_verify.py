"""`dlrecipes verify`: what it prints, and its exit codes."""


def test_a_version_is_in_order_until_it_is_changed(dlrecipes, published_slots):
    folder = published_slots / "slot_filling" / "1"
    answer = dlrecipes("verify", str(folder))
    assert answer.code == 0
    assert answer.out.splitlines()[0] == f"{folder}: in order"
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"x")
    answer = dlrecipes("verify", str(folder))
    assert answer.code == 1
    assert "model.tflite is not what was published" in answer.err


def test_a_missing_folder_is_one_line(dlrecipes):
    answer = dlrecipes("verify", "none")
    assert answer.code == 2
    assert "none: there is no such folder" in answer.err
