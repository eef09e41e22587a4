"""Names of inputs and outputs: valid in every format, unique, and none is lost."""

import pytest

from dlrecipes.errors import PublishError
from dlrecipes.export.names import by_name, input_names, unique_names


@pytest.mark.parametrize(
    ("given", "valid"),
    [
        ("x", "x"),
        # As TensorFlow changes them.
        ("User-ID", "User_ID"),
        ("1st", "arg_1st"),
        ("a b", "a_b"),
        ("x.y/z", "x_y_z"),
        ("_x", "arg__x"),
        # TensorFlow rejects these.
        ("class", "class_"),
        ("from", "from_"),
        ("self", "self_"),
        ("prénom", "prenom"),
        ("用户", "input"),
        ("用户ID", "arg___ID"),
        ("-", "input"),
        ("n" * 300, "n" * 300),
    ],
)
def test_a_name_becomes_one_that_every_format_keeps(given, valid):
    assert input_names([given]) == [valid]


def test_names_that_become_equal_get_numbers_and_valid_names_keep_their_form():
    assert input_names(["User-ID", "User_ID"]) == ["User_ID_1", "User_ID"]
    # TensorFlow ignores the case of the names of inputs.
    assert input_names(["ID", "id", "Id"]) == ["ID", "id_1", "Id_2"]
    assert input_names(["名", "字", "input"]) == ["input_1", "input_2", "input"]


def test_repeated_names_get_the_next_free_number():
    assert unique_names(["lstm", "lstm", "lstm"]) == ["lstm", "lstm_1", "lstm_2"]
    assert unique_names(["lstm", "lstm_1", "lstm"]) == ["lstm", "lstm_1", "lstm_2"]
    assert unique_names(["lstm", "lstm", "lstm_1"]) == ["lstm", "lstm_2", "lstm_1"]
    assert unique_names(["Y", "y"]) == ["Y", "y"]


def test_a_repeated_name_is_an_error_in_place_of_a_lost_value():
    assert by_name("net", ["a", "b"], [1, 2]) == {"a": 1, "b": 2}
    with pytest.raises(PublishError, match="net: several tensors are named a"):
        by_name("net", ["a", "b", "a"], [1, 2, 3])
    with pytest.raises(PublishError, match="net: 1 values for 2 names"):
        by_name("net", ["a", "b"], [1])
