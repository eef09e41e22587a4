"""`dlrecipes demo`: a page on which published models are tried."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click

from dlrecipes.cli.options import check_models, host, served_models
from dlrecipes.errors import UsageError


@click.command(
    name="demo",
    short_help="Try published models on a page: draw, type, paint.",
    context_settings={"show_default": True},
)
@served_models
@host
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
    check_models(models)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError(
            "The page needs the package gradio.", "Install it: pip install 'dlrecipes[demo]'"
        )
    # Nothing is sent to anybody.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.demo import app

    app.serve(app.load(models), host, port)
