"""Values that are declared once, validated, written as YAML and typed as options."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import pydantic

from dlrecipes._utils.wording import counted
from dlrecipes.errors import UsageError, nearest

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Search:
    """Search range of a hyperparameter.

    Args:
        low: Smallest value; `None` where `choices` are given. Defaults to `None`.
        high: Largest value. Defaults to `None`.
        sampling: `"linear"` or `"log"`. Defaults to `"linear"`.
        choices: Values to choose from, instead of a range. Defaults to none.

    Example:

    >>> from dlrecipes.recipe import Search
    >>> str(Search(1e-4, 1e-2, "log")), str(Search(choices=("lstm", "gru")))
    ('0.0001 to 0.01, log', 'lstm, gru')
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
    """Declares one setting of a `RecipeConfig`: default, help, bounds and search range.

    Args:
        default: Default value.
        help: One line, shown by `--help` and in the recipe's README.
        search: Search range of `dlrecipes tune`; `None` keeps the setting fixed. Defaults to
            `None`.
        **bounds: `ge`, `gt`, `le`, `lt` or `min_length`, as in pydantic's `Field`.

    Example:

    >>> from dlrecipes.recipe import RecipeConfig, Search, setting
    >>> class Config(RecipeConfig):
    ...     units: int = setting(64, "Hidden units.", ge=1, search=Search(16, 256, "log"))
    >>> Config(units=32).units
    32
    """
    extra: Any = {"search": search} if search else None
    return pydantic.Field(default, description=help, json_schema_extra=extra, **bounds)


class Options(pydantic.BaseModel):
    """Values declared with `setting`, validated together.

    The base of a recipe's `Config` and of its `PredictOptions`.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _reject_lossy_conversions(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        name = str(info.field_name)
        about = _read(name, cls.model_fields[name])
        if about.kind == "list" and isinstance(value, str):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        elif about.kind == "list" and isinstance(value, int | float):
            value = (value,)
        parts = value if isinstance(value, list | tuple) else [value]
        if about.item in ("integer", "number") and any(isinstance(part, bool) for part in parts):
            raise ValueError("expected a number, got true or false")
        if about.kind == "choice" and isinstance(value, str):
            # The command line gives text, and choices may be numbers.
            known = get_args(cls.model_fields[name].annotation)
            value = {str(choice): choice for choice in known}.get(value, value)
        if about.choices and len({str(part) for part in parts}) < len(parts):
            raise ValueError("duplicate choice")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "the settings") -> Self:
        """Returns the validated configuration.

        Args:
            values: Settings by name, from YAML or the command line.
            where: Source of the values, for error messages.

        Raises:
            UsageError: With one line for each unknown name and each wrong value.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            errors = error.errors()
            inside = {problem["loc"][0] for problem in errors if len(problem["loc"]) > 1}
            problems = [
                cls._explain(problem)
                for problem in errors
                # A list whose only element is wrong is not reported as too short.
                if problem["type"] != "too_short" or problem["loc"][0] not in inside
            ]
        count = counted(len(problems), "setting is", "settings are")
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UsageError(f"{where}: {count} wrong:{lines}")

    @classmethod
    def from_yaml(cls, path: Path) -> dict[str, Any]:
        """Returns the settings in a YAML file, not yet validated.

        Raises:
            UsageError: If the file cannot be read, or is not a mapping from names to values.
        """
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}.", "Name a YAML file.") from None
        except UnicodeDecodeError:
            raise UsageError(f"{path}: not UTF-8.") from None
        except (yaml.YAMLError, ValueError) as error:  # such as a date with day 45
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise UsageError(f"{path}{line}: not valid YAML.") from None
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise UsageError(f"{path}: expected a line 'name: value' for each setting.")
        return {str(name): value for name, value in values.items()}

    def to_yaml(self) -> str:
        """Returns all settings as YAML, one per line."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def search_space(cls) -> dict[str, Search]:
        """Returns the search ranges of the settings that have one, by name."""
        return {s.name: s.search for s in settings(cls) if s.search}

    @classmethod
    def listed(cls) -> list[str]:
        """Returns the names of the settings in the order in which they are listed."""
        return list(cls.model_fields)

    @classmethod
    def _explain(cls, problem: Mapping[str, Any]) -> str:
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden":
            return f"{name}: no such setting. {nearest(name, cls.model_fields)}".rstrip()
        if name not in cls.model_fields:
            return problem["msg"].removeprefix("Value error, ") + "."
        about = _read(name, cls.model_fields[name])
        value = problem["input"]
        is_list = about.kind == "list" and isinstance(value, tuple | list)
        typed = ",".join(map(str, value)) if is_list else value
        if "duplicate choice" in problem["msg"]:
            return f"{name}: {typed!r} has a duplicate choice."
        plural = "a list of " if about.kind == "list" and not about.choices else ""
        text = f"{name}: {typed!r} is not {plural}{about.expected}."
        names = str(typed).split(",") if about.kind == "list" else [str(typed)]
        wrong = [part for name in names if (part := name.strip()) not in about.choices]
        if about.choices and wrong:
            text += f" {nearest(wrong[0], about.choices)}"
        return text.rstrip()


@dataclass(frozen=True)
class Setting:
    """A setting as it was declared.

    Args:
        name: Key in YAML.
        kind: `"integer"`, `"number"`, `"switch"`, `"choice"`, `"text"` or `"list"`.
        item: Kind of a list's elements; otherwise equal to `kind`.
        default: Default value.
        help: One line of help.
        bounds: Bounds of a number, or of a list's elements, in words.
        min_length: Minimum number of a list's elements.
        choices: Values to choose from; empty where any value fits.
        search: Search range; `None` for a fixed setting.
    """

    name: str
    kind: str
    item: str
    default: Any
    help: str
    bounds: str
    min_length: int
    choices: tuple[str, ...]
    search: Search | None

    @property
    def option(self) -> str:
        """Option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def written(self) -> str:
        """Options as written in help: a switch has one to turn it off."""
        return f"{self.option} / --no-{self.option[2:]}" if self.kind == "switch" else self.option

    @property
    def expected(self) -> str:
        """Description of a valid value."""
        if self.choices:
            choices = ", ".join(self.choices)
            if self.kind == "list":
                return f"one or more of {choices}, separated by commas"
            return f"one of {choices}"
        words = {"integer": "an integer", "number": "a number", "switch": "true or false"}
        if self.kind == "list":
            minimum = f", at least {self.min_length}" if self.min_length else ""
            return f"{f'{self.item}s {self.bounds}'.rstrip()}, separated by commas{minimum}"
        return f"{words.get(self.kind, 'a text')} {self.bounds}".rstrip()


def settings(config: type[Options]) -> list[Setting]:
    """Returns the settings of a configuration as it lists them."""
    return [_read(name, config.model_fields[name]) for name in config.listed()]


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
    words: dict[Any, str] = {int: "integer", float: "number", bool: "switch"}
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {spelled(value)}"
        for limit in limits
        for key, sign in signs.items()
        if (value := getattr(limit, key, None)) is not None
    ]
    item = words.get(inner, "choice" if choices else "text")
    extra: Any = declared.json_schema_extra or {}
    return Setting(
        name=name,
        kind="list" if listed else item,
        item=item,
        default=declared.default,
        help=declared.description or "",
        bounds=" and ".join(bounds),
        min_length=max((getattr(limit, "min_length", None) or 0 for limit in limits), default=0),
        choices=choices,
        search=extra.get("search"),
    )


def spelled(value: Any) -> str:
    """Returns a value as it is typed on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(str(part) for part in value)
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
