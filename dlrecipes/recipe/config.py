"""Settings of a recipe: those that all recipes share, and their checks."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from dlrecipes.errors import UsageError
from dlrecipes.recipe.options import Options, setting

# Value of `data` for the built-in data.
BUILTIN_DATA = "builtin"
# Values of `start` and of `publish_as` that name nothing.
NO_START = AUTO_NAME = ""


class RecipeConfig(Options):
    """Settings of a recipe; those declared here are shared by all recipes.

    A subclass declares its own with `setting`. Values come from defaults, then a YAML
    file, then options; unknown names and wrong values are refused, all at once.
    """

    # Settings that name published versions.
    versions: ClassVar[tuple[str, ...]] = ("start",)
    # Recipes whose versions are a start as well as the recipe's own.
    start_recipes: ClassVar[tuple[str, ...]] = ()
    # Settings of the built-in data, and settings that say how other data are read, which
    # `dlrecipes evaluate` takes as well.
    builtin_settings: ClassVar[tuple[str, ...]] = ()
    reading_settings: ClassVar[tuple[str, ...]] = ()
    # The setting of the built-in data that chooses their kind, such as a language.
    builtin_kind: ClassVar[str] = ""
    # Shared settings that the recipe never uses, with the reason; they are not listed.
    unused_settings: ClassVar[dict[str, str]] = {}

    data: str = setting(
        BUILTIN_DATA, "'builtin', a path, or 'tfds:NAME' if the recipe supports it."
    )
    data_dir: str = setting("~/tensorflow_datasets", "Folder of TFDS datasets.")
    seed: int = setting(0, "Seed of weights, data order and generated data.", ge=0, le=2**31 - 1)
    epochs: int = setting(20, "Maximum number of epochs.", ge=1, le=100_000)
    patience: int = setting(5, "Epochs without improvement before stopping.", ge=1)
    batch_size: int = setting(32, "Batch size.", ge=1, le=65_536)
    start: str = setting(
        NO_START, "Published version to begin with: its folder, NAME or NAME:VERSION."
    )
    publish_as: str = setting(
        AUTO_NAME,
        "Name of the published model; default: the recipe's, with the name of other data.",
    )

    def without_effect(self) -> dict[str, str]:
        """Returns the settings that the others leave without effect.

        By default these are `unused_settings`, `data_dir` without a TFDS dataset,
        `builtin_settings` with `--data`, and `reading_settings` without it.

        Returns:
            The reason of each by its name, such as `{"warmup": "--lr-schedule is constant"}`.
        """
        reasons = dict(self.unused_settings)
        if not self.data.startswith("tfds:"):
            reasons.setdefault("data_dir", "--data is not a TFDS dataset")
        if self.data == BUILTIN_DATA:
            others = dict.fromkeys(self.reading_settings, "it is for --data")
        else:
            others = dict.fromkeys(self.builtin_settings, "it is for the built-in data, not --data")
        return {**reasons, **others}

    @classmethod
    def listed(cls) -> list[str]:
        """Returns the names of the settings, the recipe's own first, without unused ones."""
        names = [name for name in cls.model_fields if name not in cls.unused_settings]
        return sorted(names, key=lambda name: name in RecipeConfig.model_fields)

    @classmethod
    def data_options(cls) -> tuple[str, ...]:
        """Returns the names of the settings that say where and how other data are read."""
        return tuple(
            name for name in ("data_dir", *cls.reading_settings) if name not in cls.unused_settings
        )

    def data_name(self) -> str:
        """Returns the name of the data in the name of the published model.

        By default empty for the recipe's default data, else the name of the folder, of the file
        without its suffix, or of the TFDS dataset. Built-in data of another kind than the default
        have the value of the setting `builtin_kind`.
        """
        fields, kind = type(self).model_fields, self.builtin_kind
        if self.data == fields["data"].default:
            is_default = not kind or getattr(self, kind) == fields[kind].default
            return "" if is_default else getattr(self, kind)
        if self.data.startswith("tfds:"):
            return self.data.removeprefix("tfds:")
        path = Path(os.path.normpath(self.data))
        return (path.name.split(".")[0] if path.is_file() else path.name) or "data"

    def contradictions(self) -> list[tuple[str, str]]:
        """Returns what is wrong with settings that cannot be combined; by default nothing.

        Returns:
            For each problem a line with the options, and a hint with a value that fits.
        """
        return []

    def check_combination(self) -> None:
        """Refuses settings that cannot be combined.

        Raises:
            UsageError: If there are `contradictions`.
        """
        for problem, hint in self.contradictions():
            raise UsageError(problem, hint)

    def check_effect(self, given: Collection[str], where: str) -> None:
        """Refuses settings that contradict each other, before data is read.

        Args:
            given: Names of the settings that the user gave.
            where: Name of the recipe, for the error message.

        Raises:
            UsageError: If a given setting has no effect, where the message names all such
                settings, or two settings cannot be combined.
        """
        if names := self.idle(given):
            them = "it" if len(names) == 1 else "them"
            raise UsageError(f"{where}: {self.explain_idle(names)}", f"Leave {them} out.")
        self.check_combination()

    def idle(self, given: Collection[str]) -> list[str]:
        """Returns those of the given settings that the others leave without effect."""
        return [name for name in self.without_effect() if name in given]

    def explain_idle(self, names: Collection[str]) -> str:
        """Returns a line with settings of `without_effect` and their reasons."""
        reasons = self.without_effect()
        options = (f"--{name.replace('_', '-')}: {reasons[name]}" for name in names)
        return f"no effect: {'; '.join(options)}."

    def located(self) -> RecipeConfig:
        """Returns the configuration with the data's path made absolute.

        A stored configuration must be valid in every working directory.
        """
        if self.data == BUILTIN_DATA or self.data.startswith("tfds:"):
            return self
        return self.model_copy(update={"data": str(Path(self.data).expanduser().absolute())})
