"""`dlrecipes demo`: a page on which published models are tried."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click

from dlrecipes.errors import UsageError


@click.command(
    name="demo",
    short_help="Try published models on a page: draw, type, paint.",
    context_settings={"show_default": True},
)
@click.option(
    "--models",
    "--models-dir",
    "models",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("saved_models"),
    help="Folder of published models.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(1, 65_535), default=7860)
def command(models: Path, host: str, port: int) -> None:
    """Try the published models in a browser, a tab for each.

    Draw a digit, type a query, choose a poem's theme, compare two faces, paint a facade,
    draw a GAN's samples; of any other SavedModel, send a request. It asks the published
    SavedModels and nothing else.

    \b
    Examples:
      dlrecipes demo
      dlrecipes demo --models saved_models --port 8000
    """
    if not models.is_dir():
        reason = "is no folder" if models.exists() else "there is no such folder"
        raise UsageError(
            f"--models {models}: {reason}.", "Publish a model first: dlrecipes run RECIPE"
        )
    if importlib.util.find_spec("gradio") is None:
        raise UsageError(
            "The page needs the package gradio.", "Install it: pip install 'dlrecipes[demo]'"
        )
    # Nothing is sent to anybody.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from dlrecipes.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.demo import app

    app.serve(app.load(models), host, port)
