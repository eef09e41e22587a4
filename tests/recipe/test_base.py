"""One declaration of a hyperparameter decides everything that is known of it."""

import math
import typing
from typing import Annotated, Literal

import pydantic
import pytest
import yaml

from dlrecipes.cli.options import setting_options
from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, Search, registry, setting
from dlrecipes.recipe.options import settings, spelled

BUILT_IN = {source.name: source for source in registry.sources()}


class Config(RecipeConfig):
    """A setting of each kind."""

    layers: int = setting(2, "Layers of the network.", ge=1, le=8, search=Search(1, 4))
    rate: float = setting(1e-3, "A step.", gt=0, le=0.5, search=Search(1e-4, 0.1, "log"))
    weight: float = setting(2.5, "A weight without bounds.")
    size: Literal["small", "large"] = setting("small", "Which network.")
    colours: tuple[Literal["red", "green", "blue"], ...] = setting(
        ("red",), "What is seen.", min_length=1, search=Search(choices=("red", "red,blue"))
    )
    widths: tuple[Annotated[int, pydantic.Field(ge=1, le=9)], ...] = setting(
        (3,), "Widths.", min_length=1
    )
    scales: tuple[float, ...] = setting((), "Scales.")
    shuffle: bool = setting(True, "Whether the order changes.")


def about(name, config=Config):
    return next(s for s in settings(config) if s.name == name)


def refusal(values, config=Config, where="the settings"):
    """Returns the lines of the refusal behind the first."""
    with pytest.raises(UsageError) as caught:
        config.parse(values, where)
    first, *lines = str(caught.value).split("\n")
    count = "1 setting is" if len(lines) == 1 else f"{len(lines)} settings are"
    assert first == f"{where}: {count} wrong:"
    return [line.strip() for line in lines]


def yaml_file(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def yaml_refusal(path):
    with pytest.raises(UsageError) as caught:
        Config.from_yaml(path)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_declaration_gives_option_default_bounds_and_search_range():
    layers = about("layers")
    assert (layers.option, layers.default, layers.help) == ("--layers", 2, "Layers of the network.")
    assert layers.expected == "an integer >= 1 and <= 8"
    assert Config.search_space()["layers"] == layers.search == Search(1, 4)
    assert str(layers.search) == "1 to 4"
    assert str(about("rate").search) == "0.0001 to 0.1, log"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rate", "a number > 0 and <= 0.5"),
        ("weight", "a number"),
        ("size", "one of small, large"),
        ("colours", "one or more of red, green, blue, separated by commas"),
        ("widths", "integers >= 1 and <= 9, separated by commas, at least 1"),
        ("scales", "numbers, separated by commas"),
        ("shuffle", "true or false"),
        ("data", "a text"),
        ("seed", f"an integer >= 0 and <= {2**31 - 1}"),
    ],
)
def test_valid_values_are_described_by_type_and_bounds(name, expected):
    assert about(name).expected == expected


def test_only_what_is_declared_tunable_is_searched():
    assert set(Config.search_space()) == {"layers", "rate", "colours"}


def test_every_setting_becomes_one_option_with_help_and_default():
    options = {option.name: option for option in setting_options(Config)}
    assert set(options) == set(Config.model_fields)
    assert options["batch_size"].opts == ["--batch-size"]
    assert options["shuffle"].secondary_opts == ["--no-shuffle"]
    assert options["layers"].help == "Layers of the network. [default: 2; >= 1 and <= 8]"
    assert options["size"].metavar == "small|large"


def test_a_recipes_own_settings_come_before_the_shared_ones():
    names = [s.name for s in settings(Config)]
    shared = list(RecipeConfig.model_fields)
    assert names[-len(shared) :] == shared
    assert names[: -len(shared)] == list(Config.__annotations__)


def test_all_wrong_names_and_values_are_reported_with_the_nearest():
    lines = refusal({"layer": 3, "layers": 9, "size": "smal", "rate": "fast", "zzzz": 1})
    assert sorted(lines) == sorted(
        [
            "layer: no such setting. Did you mean 'layers'?",
            "layers: 9 is not an integer >= 1 and <= 8.",
            "rate: 'fast' is not a number > 0 and <= 0.5.",
            "size: 'smal' is not one of small, large. Did you mean 'small'?",
            "zzzz: no such setting.",
        ]
    )


def test_a_refusal_names_the_source_of_the_settings():
    assert refusal({"nothing_like_it": 1}, where="best.yaml")


@pytest.mark.parametrize("value", ["3.5", 3.5, "three", "", None, True, False, [3], {"a": 1}])
def test_an_integer_is_nothing_else(value):
    assert refusal({"layers": value}) == [f"layers: {value!r} is not an integer >= 1 and <= 8."]


@pytest.mark.parametrize("name", ["rate", "weight", "scales"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", math.nan, math.inf, -math.inf, True])
def test_a_number_is_finite_and_no_truth_value(name, value):
    (line,) = refusal({name: value})
    assert line.startswith(f"{name}: ")


def float_settings():
    return [
        (recipe, s.name)
        for recipe, source in BUILT_IN.items()
        for s in settings(source.config())
        if s.item == "number"
    ]


@pytest.mark.parametrize(("recipe", "name"), float_settings())
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_recipe_takes_a_number_that_is_not_finite(recipe, name, value):
    (line,) = refusal({name: value}, BUILT_IN[recipe].config())
    assert line.startswith(
        (f"{name}: '{value}' is not a number", f"{name}: '{value}' is not a list of")
    )


def test_bounds_belong_to_what_is_allowed_where_they_say_so():
    assert [Config.parse({"layers": str(value)}).layers for value in (1, 8)] == [1, 8]
    assert len(refusal({"layers": 0, "rate": 0})) == 2
    assert len(refusal({"layers": 9, "rate": 0.51})) == 2


@pytest.mark.parametrize("text", ["red,blue", " red , blue ", "red,,blue,", ["red", "blue"]])
def test_a_list_is_written_with_commas_or_as_yaml_has_it(text):
    assert Config.parse({"colours": text}).colours == ("red", "blue")


def test_a_list_of_numbers_is_read_from_text_and_from_one_number():
    assert Config.parse({"widths": "3,4,3"}).widths == (3, 4, 3)
    assert Config.parse({"widths": 3}).widths == (3,)


@pytest.mark.parametrize("empty", ["", " ", ",", (), []])
def test_a_list_that_must_hold_something_is_not_empty(empty):
    assert len(refusal({"colours": empty, "widths": empty})) == 2
    assert Config.parse({"scales": empty}).scales == ()


def test_a_choice_is_named_once_in_a_list():
    (line,) = refusal({"colours": "red,blue,red"})
    assert line == "colours: 'red,blue,red' has a duplicate choice."


def test_each_wrong_element_of_a_list_is_reported_once():
    assert refusal({"widths": "3,10,x"}) == [
        "widths: '10' is not a list of integers >= 1 and <= 9, separated by commas, at least 1.",
        "widths: 'x' is not a list of integers >= 1 and <= 9, separated by commas, at least 1.",
    ]
    (line,) = refusal({"colours": "gren"})
    assert line.endswith("Did you mean 'green'?")
    (line,) = refusal({"widths": [True]})
    assert line.startswith("widths: ")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1.0e-3", 0.001), (".25", 0.25), ("1E-2", 0.01)]
)
def test_yaml_takes_numbers_as_people_write_them(tmp_path, text, value):
    values = Config.from_yaml(yaml_file(tmp_path, f"rate: {text}\n"))
    assert Config.parse(values).rate == value


def test_yaml_text_is_not_bent_into_a_choice(tmp_path):
    values = Config.from_yaml(yaml_file(tmp_path, "size: no\n"))
    assert refusal(values) == ["size: False is not one of small, large."]


def test_null_in_yaml_is_refused(tmp_path):
    assert len(refusal(Config.from_yaml(yaml_file(tmp_path, "layers:\nrate: ~\n")))) == 2


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "---\n"])
def test_an_empty_yaml_file_sets_nothing(tmp_path, content):
    assert Config.from_yaml(yaml_file(tmp_path, content)) == {}


@pytest.mark.parametrize("content", ["- layers: 3\n", "layers\n", "3\n"])
def test_yaml_without_a_mapping_is_refused(tmp_path, content):
    path = yaml_file(tmp_path, content)
    assert yaml_refusal(path) == f"{path}: expected a line 'name: value' for each setting."


@pytest.mark.parametrize(
    ("content", "line"), [("layers: 2\nrate: [1\nsize: x\n", 3), ("layers: 2\n\trate: 1\n", 2)]
)
def test_a_syntax_error_in_yaml_names_file_and_line(tmp_path, content, line):
    path = yaml_file(tmp_path, content)
    assert yaml_refusal(path) == f"{path}:{line}: not valid YAML."


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"size: \xff\n", "UTF-8"),
        (b"size: \x00\n", "valid YAML"),
        (b"data: 2020-13-45\n", "valid YAML"),
    ],
)
def test_bytes_and_dates_that_yaml_cannot_read_are_refused(tmp_path, content, kind):
    path = yaml_file(tmp_path, content)
    assert yaml_refusal(path) == f"{path}: not {kind}."


def test_a_missing_yaml_file_and_a_folder_are_refused(tmp_path):
    assert "No such file" in yaml_refusal(tmp_path / "nope.yaml")
    assert "s a directory" in yaml_refusal(tmp_path)


ROUND_TRIP = {
    "rate": 1e-05,
    "weight": 0.1 + 0.2,
    "colours": ("blue", "red"),
    "scales": (0.5, 2.0),
    "shuffle": False,
    "data": "1e-3",
    "data_dir": "/tmp/déjà vu: 数据 # no comment " + "x" * 100,
}


def test_what_is_written_down_is_read_again_as_the_same(tmp_path):
    config = Config.parse(ROUND_TRIP)
    again = Config.parse(Config.from_yaml(yaml_file(tmp_path, config.to_yaml())))
    assert again == config
    assert {name: getattr(again, name) for name in ROUND_TRIP} == ROUND_TRIP
    assert list(yaml.safe_load(config.to_yaml())) == list(Config.model_fields)


@pytest.mark.parametrize("value", [0.002, 0.1 + 0.2, 1e-05, 123456789.5, True, (1, 2), "text", 7])
def test_a_spelled_value_parses_to_itself(value):
    text = spelled(value)
    if isinstance(value, tuple):
        assert tuple(int(part) for part in text.split(",")) == value
    elif isinstance(value, bool):
        assert yaml.safe_load(text) is value
    else:
        assert type(value)(text) == value


def test_a_configuration_does_not_change():
    config = Config.parse({})
    with pytest.raises(pydantic.ValidationError):
        config.layers = 3
    assert config.layers == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipes_defaults_are_allowed_and_can_be_typed(name):
    config = BUILT_IN[name].config()
    typed = {s.name: spelled(s.default) for s in settings(config)}
    assert config.parse(typed) == config.parse({})


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_recipes_search_ranges_hold_its_defaults_and_only_what_is_allowed(name):
    config = BUILT_IN[name].config()
    for s in settings(config):
        if s.search is None:
            continue
        if s.search.choices:
            ends = s.search.choices
            assert spelled(s.default) in [spelled(choice) for choice in ends], s.name
        else:
            ends = (s.search.low, s.search.high)
            assert ends[0] < ends[1] and ends[0] <= s.default <= ends[1], s.name
            assert s.search.sampling == "linear" or ends[0] > 0, s.name
        for end in ends:
            config.parse({s.name: end})


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_setting_of_a_recipe_has_a_line_of_help(name):
    for s in settings(BUILT_IN[name].config()):
        assert s.help.endswith(".") and "\n" not in s.help, s.name


def test_settings_can_be_optional():
    class Optional(RecipeConfig):
        limit: typing.Optional[int] = setting(None, "A limit.", ge=1)  # noqa: UP045

    assert about("limit", Optional).kind == "integer"
    assert Optional.parse({"limit": "3"}).limit == 3
    assert len(refusal({"limit": True}, Optional)) == 1
    assert len(refusal({"limit": 0}, Optional)) == 1
