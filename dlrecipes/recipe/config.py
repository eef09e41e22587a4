"""The settings of a recipe: declared once, checked, spelt for YAML and the command line."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import pydantic

from dlrecipes.errors import UsageError, nearest

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Search:
    """The range in which `dlrecipes tune` looks for a hyperparameter.

    Args:
        low: Smallest value; `None` where `choices` are given.
        high: Largest value.
        sampling: `"linear"` or `"log"`.
        choices: The values to choose from, instead of a range.
    """

    low: float | None = None
    high: float | None = None
    sampling: Literal["linear", "log"] = "linear"
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(spelled(choice) for choice in self.choices)
        return f"{self.low:g} to {self.high:g}" + (", log" if self.sampling == "log" else "")


def setting(default: Any, help: str, *, search: Search | None = None, **bounds: Any) -> Any:
    """Declares one hyperparameter of a `RecipeConfig`: everything about it, once.

    Args:
        default: Its value where the user gives none.
        help: One line, as `--help` and README show it.
        search: Where `dlrecipes tune` looks for it; `None` leaves it fixed.
        **bounds: `ge`, `gt`, `le`, `lt`, `min_length`, as pydantic's `Field` takes them.

    Example:

    >>> class Config(RecipeConfig):
    ...     units: int = setting(64, "Hidden units.", ge=1, search=Search(16, 256, "log"))
    >>> Config(units=32).units
    32
    """
    extra = {"search": search} if search else None
    return pydantic.Field(default, description=help, json_schema_extra=extra, **bounds)


class Options(pydantic.BaseModel):
    """Values that are declared with `setting`, each once: checked all together.

    A recipe's `Config` is one, and so is `PredictOptions`, what its `predict` can be told.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _refuse_what_pydantic_would_bend(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        about = _read(info.field_name, cls.model_fields[info.field_name])
        if about.kind == "list" and isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        elif about.kind == "list" and isinstance(value, int | float):
            value = (value,)
        parts = value if isinstance(value, list | tuple) else [value]
        if about.item in ("integer", "number") and any(isinstance(part, bool) for part in parts):
            raise ValueError("a number is wanted, not true or false")
        if about.kind == "choice" and isinstance(value, str):
            # The command line has texts alone, and a choice may be between numbers.
            known = get_args(cls.model_fields[info.field_name].annotation)
            value = {str(choice): choice for choice in known}.get(value, value)
        if about.choices and len({str(part) for part in parts}) < len(parts):
            raise ValueError("each choice is wanted once")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "the settings") -> Self:
        """Returns the checked configuration.

        Args:
            values: Settings by name, as YAML or the command line give them.
            where: What an error message calls their source.

        Raises:
            UsageError: One line for each unknown name and each wrong value.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            found = error.errors()
            inside = {problem["loc"][0] for problem in found if len(problem["loc"]) > 1}
            problems = [
                cls._explain(problem)
                for problem in found
                # A list whose only part is wrong is not called too short as well.
                if problem["type"] != "too_short" or problem["loc"][0] not in inside
            ]
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UsageError(f"{where}: {count} wrong:{lines}")

    @classmethod
    def from_yaml(cls, path: Path) -> dict[str, Any]:
        """Returns the settings that a YAML file holds, not yet checked.

        Raises:
            UsageError: If the file cannot be read, or is no mapping from names to values.
        """
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}.", "Name a YAML file.") from None
        except UnicodeDecodeError:
            raise UsageError(f"{path}: this is not UTF-8.") from None
        except (yaml.YAMLError, ValueError) as error:  # also: the 45th of a month
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise UsageError(f"{path}{line}: this is not YAML.") from None
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise UsageError(f"{path}: a line 'name: value' for each setting is wanted.")
        return {str(name): value for name, value in values.items()}

    def to_yaml(self) -> str:
        """Returns all settings, one a line."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def search_space(cls) -> dict[str, Search]:
        """Returns where each tunable hyperparameter is looked for, by name."""
        return {s.name: s.search for s in settings(cls) if s.search}

    @classmethod
    def _explain(cls, problem: Mapping[str, Any]) -> str:
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden":
            return f"{name}: no such setting. {nearest(name, cls.model_fields)}".rstrip()
        if name not in cls.model_fields:
            return problem["msg"].removeprefix("Value error, ") + "."
        about = next(s for s in settings(cls) if s.name == name)
        given = problem["input"]
        listed = about.kind == "list" and isinstance(given, tuple | list)
        typed = ",".join(map(str, given)) if listed else given
        text = f"{name}: {typed!r} is not {about.wanted}."
        names = str(typed).split(",") if about.kind == "list" else [str(typed)]
        wrong = [part for name in names if (part := name.strip()) not in about.choices]
        if about.choices and wrong:
            text += f" {nearest(wrong[0], about.choices)}"
        return text.rstrip()


class RecipeConfig(Options):
    """The settings of a recipe; the ones here are every recipe's.

    A subclass declares its own with `setting`. Values come from defaults, then a YAML
    file, then options; unknown names and wrong values are refused, all at once.
    """

    data: str = setting("builtin", "'builtin', a folder or file, or 'tfds:NAME' where it has one.")
    data_dir: str = setting("~/tensorflow_datasets", "Where 'tfds:' data sets are kept.")
    seed: int = setting(0, "Decides weights, order and generated data.", ge=0, le=2**31 - 1)
    epochs: int = setting(20, "Passes over the training data, at most.", ge=1, le=100_000)
    patience: int = setting(5, "Epochs without a better validation before it stops.", ge=1)
    batch_size: int = setting(32, "Examples a step.", ge=1, le=65_536)

    def located(self) -> RecipeConfig:
        """Returns the configuration with the data's path made absolute.

        What a run keeps must mean the same from every folder.
        """
        if self.data == "builtin" or self.data.startswith("tfds:"):
            return self
        return self.model_copy(update={"data": str(Path(self.data).expanduser().absolute())})


@dataclass(frozen=True)
class Setting:
    """All that is known of one setting, read off its declaration.

    Args:
        name: Its key in YAML.
        kind: `"integer"`, `"number"`, `"switch"`, `"choice"`, `"text"` or `"list"`.
        item: The kind of a list's parts; otherwise `kind` again.
        default: Its value where none is given.
        help: One line.
        bounds: Of a number, or of a list's parts, in words.
        least: The fewest parts of a list.
        choices: The values to choose from.
        search: Where it is tuned.
    """

    name: str
    kind: str
    item: str
    default: Any
    help: str
    bounds: str
    least: int
    choices: tuple[str, ...]
    search: Search | None

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def written(self) -> str:
        """How it is written on the command line: a switch is on or off."""
        return f"{self.option} / --no-{self.option[2:]}" if self.kind == "switch" else self.option

    @property
    def wanted(self) -> str:
        """What a right value is, in words."""
        if self.choices:
            several = "one or several, each once, by commas, of"
            return f"{several if self.kind == 'list' else 'one of'} {', '.join(self.choices)}"
        words = {"integer": "an integer", "number": "a number", "switch": "true or false"}
        if self.kind == "list":
            least = f", at least {self.least}" if self.least else ""
            return f"{f'{self.item}s {self.bounds}'.rstrip()}, by commas{least}"
        return f"{words.get(self.kind, 'a text')} {self.bounds}".rstrip()


def settings(config: type[Options]) -> list[Setting]:
    """Returns the settings of a configuration in their order, the recipe's own first."""
    shared = set(RecipeConfig.model_fields)
    names = sorted(config.model_fields, key=lambda name: name in shared)
    return [_read(name, config.model_fields[name]) for name in names]


def _read(name: str, declared: pydantic.fields.FieldInfo) -> Setting:
    kind = declared.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    listed = get_origin(kind) is tuple
    inner = get_args(kind)[0] if listed else kind
    limits = list(declared.metadata)
    if get_origin(inner) is Annotated:
        inner, *about = get_args(inner)
        limits += [limit for one in about for limit in getattr(one, "metadata", [one])]
    choices = tuple(str(c) for c in get_args(inner)) if get_origin(inner) is Literal else ()
    words = {int: "integer", float: "number", bool: "switch"}
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {spelled(value)}"
        for limit in limits
        for key, sign in signs.items()
        if (value := getattr(limit, key, None)) is not None
    ]
    item = words.get(inner, "choice" if choices else "text")
    extra = declared.json_schema_extra or {}
    return Setting(
        name=name,
        kind="list" if listed else item,
        item=item,
        default=declared.default,
        help=declared.description or "",
        bounds=" and ".join(bounds),
        least=max((getattr(limit, "min_length", None) or 0 for limit in limits), default=0),
        choices=choices,
        search=extra.get("search"),
    )


def spelled(value: Any) -> str:
    """Returns a setting's value as the command line takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(str(part) for part in value)
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
