"""`dlrecipes predict RECIPE INPUT...`: the published model's predictions."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from dlrecipes._utils.quiet import load_tensorflow
from dlrecipes._utils.terminal import json_text
from dlrecipes._utils.wording import counted
from dlrecipes.api import load
from dlrecipes.cli.options import (
    RecipeCommands,
    model_version,
    models_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.errors import DataError, RecipeError, UsageError
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import find_version, locate_version
from dlrecipes.recipe.prediction import predict_by_signature, present
from dlrecipes.recipe.published import is_published, published_source, unknown_model
from dlrecipes.recipe.registry import Source
from dlrecipes.recipe.unanswered import IncompletePredictions, Unanswered

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion
    from dlrecipes.recipe import Options

# Lines of standard input, and arguments, that are predicted together: what bounds the memory.
CHUNK, ARGUMENTS = 512, 64
RESERVED = ("inputs", "model_version", "models_dir", "as_json", "output_file", "saved_model")
STANDARD_INPUT = "INPUT '-' reads one input per line from standard input."

HELP = """Predict with the published model of RECIPE; INPUT '-' reads one input per line.

'dlrecipes predict RECIPE --help' shows further options of the recipe. RECIPE may also be a
published model without a recipe (a name, or its folder); its inputs are JSON.

\b
Examples:
  dlrecipes predict slot_filling "leave Beijing on November 2nd"
  dlrecipes predict slot_filling - --output tagged.jsonl < sentences.txt
  dlrecipes predict image_classification photo.jpg holiday "more/*.jpg" --top 3
  dlrecipes predict poem_generation "明月" --seed 7 --json
  dlrecipes predict my_network "[0.5, 1, 2]"
"""


def make(source: Source, published: str | None = None) -> click.Command:
    """Returns the command that predicts with a model of a recipe.

    Args:
        source: The recipe.
        published: Published model, as the user typed it. Defaults to `None`: the recipe's.
    """
    options = source.predict_options()

    def callback(**values: Any) -> None:
        own = {name: values.pop(name) for name in RESERVED}
        typed = typed_settings(values, ())
        parsed = options.parse(typed, source.name) if options else None
        if not own["inputs"] and not typed:
            raise UsageError("There is nothing to predict.", "Type an input in quotes, or '-'.")
        typed_name = click.get_current_context().info_name
        models, number = own.pop("models_dir"), own.pop("model_version")
        if published is None:
            version = find_version(models, source.name, number, recipe=typed_name)
        else:
            version = locate_version(published, models, number)
        if not own.pop("saved_model"):
            version = LiteVersion(version.folder)
        config = source.config()
        settings = config.parse(config.from_yaml(version.config_file), str(version.config_file))
        # A wrong input is reported before anything is loaded.
        _check_apart(own["output_file"], parsed)
        own["inputs"] = _checked(own["inputs"], own["output_file"])
        if own["inputs"] != ("-",):
            own["inputs"] = tuple(source.prepare(version, own["inputs"], parsed))
        _predict(source.predictions(settings), version, parsed, **own)

    help = f"Predict with the published model of {source.name}; {STANDARD_INPUT}"
    extra = setting_options(options) if options else []
    return _command(published or source.name, help, source.summary, callback, extra)


class _PublishedModel:
    """Predictions of a model that was published without a recipe."""

    independent_inputs = True

    def predict(self, version: ModelVersion, inputs: Sequence[str], options: None) -> list[Any]:
        return predict_by_signature(version, inputs)

    def present(self, value: Any) -> str:
        return present(value)


def _make_without_recipe(name: str) -> click.Command:
    """Returns the command that predicts with a published model, known by name or folder.

    Args:
        name: Name or folder, as the user typed it.
    """

    def callback(**own: Any) -> None:
        model = load(name, own.pop("model_version"), models_dir=own.pop("models_dir"))
        if not own["inputs"]:
            raise UsageError("There is nothing to predict.", "Type an input in quotes, or '-'.")
        own["inputs"] = _checked(own["inputs"], own["output_file"])
        own.pop("saved_model")
        load_tensorflow()
        _predict(model.recipe or _PublishedModel(), model.version, None, **own)

    help = f"Predict with the published model {name}; {STANDARD_INPUT}"
    return _command(name, help, "", callback, [])


def _command(
    name: str, help: str, summary: str, callback: Callable[..., None], extra: list[click.Option]
) -> click.Command:
    command = click.Command(
        name,
        callback=callback,
        help=help,
        short_help=summary,
        params=[
            click.Argument(["inputs"], nargs=-1),
            click.Option(
                ["--json", "as_json"], is_flag=True, help="Print JSON, one line per prediction."
            ),
            click.Option(
                ["--output", "output_file"],
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write JSON, one line per prediction, to this new file instead.",
            ),
            click.Option(
                ["--saved-model"],
                is_flag=True,
                help="Predict with the SavedModel, not with model.tflite; loads TensorFlow.",
            ),
            *extra,
        ],
    )
    return models_dir(model_version(command))


class PredictCommands(RecipeCommands):
    """The recipes, and published models that have none."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command and its arguments, some of which say where the model lies."""
        context.obj = args
        return super().resolve_command(context, args)

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """Returns the command of a recipe, or of a published model."""
        try:
            return super().get_command(context, name)
        except UsageError as error:
            # The options of a model's recipe are known before the command line is parsed.
            models = Path(_option(context.obj or (), "--models-dir") or "saved_models")
            if not is_published(name, models):
                raise unknown_model(name, models, error) from None
            with contextlib.suppress(UsageError):
                source, _ = published_source(name, models)
                if source is not None:
                    return make(source, name)
            return _make_without_recipe(name)


def _option(args: Sequence[str], name: str) -> str | None:
    """Returns the value of an option among arguments that are not parsed yet."""
    for position, word in enumerate(args):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and position + 1 < len(args):
            return args[position + 1]
    return None


command = PredictCommands(name="predict", help=HELP, make=make, no_args_is_help=False)


def _predict(
    recipe: Any,
    version: ModelVersion,
    options: Options | None,
    inputs: tuple[str, ...],
    as_json: bool,
    output_file: Path | None,
) -> None:
    lines = _standard_input() if inputs == ("-",) else None
    missing = 0
    with _output(output_file) as file:
        count = blank = 0
        for predictions in _predictions(recipe, version, inputs, lines, options):
            for prediction in predictions:
                blank += prediction is None
                if isinstance(prediction, Unanswered):
                    missing += 1
                    _report(prediction.error)
                if file is not None:
                    file.write(json.dumps(prediction, ensure_ascii=False) + "\n")
                elif as_json:
                    click.echo(json_text(prediction))
                elif prediction is None or isinstance(prediction, Unanswered):
                    # Output `n` belongs to line `n`.
                    click.echo("", nl=lines is not None)
                else:
                    click.echo(recipe.present(prediction))
            count += len(predictions)
            if lines is not None and sys.stderr.isatty():
                click.echo(f"\r{counted(count, 'prediction')}", err=True, nl=False)
        if lines is not None and sys.stderr.isatty():
            click.echo(err=True)
        if lines is not None and count == blank:
            raise UsageError("Standard input is empty.", "Give one input per line.")
    if blank:
        place = "an empty line" if output_file is None and not as_json else "null"
        note = f"Note: blank lines have no prediction: {place} for {blank:,} of them."
        click.echo(note, err=True)
    if output_file is not None:
        click.echo(f"{output_file}: {counted(count - blank - missing, 'prediction')}")
    if missing:
        sys.exit(DataError.exit_code)


def _checked(inputs: tuple[str, ...], output_file: Path | None) -> tuple[str, ...]:
    """Returns the inputs as UTF-8, after the checks that hold for every model."""
    if "-" in inputs and len(inputs) > 1:
        hint = "Give '-' alone, or each input in quotes."
        raise UsageError("INPUT '-' is standard input, and takes no other input.", hint)
    if output_file is not None and not output_file.parent.is_dir():
        raise UsageError(f"{output_file.parent}: there is no such folder.", "Make it first.")
    if output_file is not None and output_file.is_file() and output_file.stat().st_size:
        hint = "Delete it, or give another name."
        raise UsageError(f"--output {output_file}: the file exists, and is not replaced.", hint)
    return inputs if inputs == ("-",) else _as_utf8(inputs)


def _check_apart(output_file: Path | None, options: Options | None) -> None:
    """Refuses an output that has the name of a file which an option of the recipe names."""
    for name, value in options or ():
        if output_file is None or not isinstance(value, str) or not Path(value).suffix:
            continue
        if Path(value).expanduser().resolve() == output_file.resolve():
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"--output {output_file}: {option} names the same file.",
                "Give another name: --output has the predictions as JSON lines.",
            )


def _report(error: RecipeError) -> None:
    """Prints the error of one of several inputs."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def _predictions(
    recipe: Any,
    version: ModelVersion,
    inputs: Sequence[str],
    lines: Iterator[str | None] | None,
    options: Options | None,
) -> Iterator[list[Any]]:
    """Yields predictions part by part, so that memory does not grow with standard input.

    A blank line has `None` in its place, so that output `n` belongs to line `n`.
    """
    if lines is None:
        size = ARGUMENTS if recipe.independent_inputs else len(inputs)
        for start in range(0, max(1, len(inputs)), max(1, size)):
            part = inputs[start : start + size] if size else ()
            yield _answers(recipe, version, list(part), options, len(inputs) > 1)
        return
    lines_at_once = CHUNK if recipe.independent_inputs else None
    while read := list(itertools.islice(lines, lines_at_once)):
        texts = [text for text in read if text is not None]
        predictions = _answers(recipe, version, texts, options, True) if texts else []
        if len(predictions) == len(texts):
            following = iter(predictions)
            predictions = [None if text is None else next(following) for text in read]
        yield predictions


def _answers(
    recipe: Any, version: ModelVersion, inputs: list[str], options: Options | None, several: bool
) -> list[Any]:
    """Returns predictions of a part of several inputs, or of a single input.

    An `Unanswered` stands for each of several inputs that cannot be read.
    """
    try:
        return recipe.predict(version, inputs, options)
    except IncompletePredictions as error:
        return error.predictions
    except DataError as error:
        if not several or len(inputs) != 1:
            raise
        return [Unanswered(inputs[0], error)]


def _standard_input() -> Iterator[str | None]:
    """Yields the lines of standard input; `None` for a blank one."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            hint = "Convert it: iconv -f UTF-16 -t UTF-8."
            raise DataError("Standard input is UTF-16; expected UTF-8.", hint)
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(f"Standard input, line {number}: not UTF-8.") from None
        if "\0" in text:
            hint = "Convert it to UTF-8, such as: iconv -f UTF-16LE -t UTF-8."
            raise DataError(f"Standard input, line {number}: a zero byte; expected text.", hint)
        if "\r" in text:
            hint = "Convert them: tr '\\r' '\\n'."
            raise DataError(f"Standard input, line {number}: the line ends are CR alone.", hint)
        yield text if text.strip() else None


def _as_utf8(inputs: Sequence[str]) -> tuple[str, ...]:
    """Returns arguments as UTF-8, also where Python took the terminal's encoding for another."""
    texts = []
    for number, text in enumerate(inputs, start=1):
        try:
            escaped = any("\ud800" <= letter <= "\udfff" for letter in text)
            texts.append(os.fsencode(text).decode() if escaped else text)
        except UnicodeError:
            raise UsageError(f"Input {number} is not UTF-8.") from None
    return tuple(texts)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[IO[str] | None]:
    """Opens a file that appears when all is written; nothing is left where that fails."""
    if path is None:
        yield None
        return
    if path.exists() and not path.is_file():
        # A pipe or a device is written to, not replaced.
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
