"""`dlrecipes demo`: a web page for trying published models."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click

from dlrecipes.cli.options import check_models, host, served_models
from dlrecipes.errors import UsageError


@click.command(
    name="demo",
    short_help="Try published models on a web page: draw, type, paint.",
    context_settings={"show_default": True},
)
@served_models
@host
@click.option("--port", type=click.IntRange(1, 65_535), default=7860, help="Port of the page.")
def command(models: Path, host: str, port: int) -> None:
    """Try the published models in a browser, with one tab per model.

    Show a photograph, draw a digit, type a query, choose a poem's theme, compare two faces,
    paint a facade or generate a GAN's samples. Any other SavedModel gets a tab for JSON
    requests. The page uses only the published SavedModels.

    \b
    Examples:
      dlrecipes demo
      dlrecipes demo --models saved_models --port 8000
    """
    check_models(models)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError(
            "The package gradio, which the page needs, is not installed.",
            "Install it: pip install 'dlrecipes[demo]'",
        )
    # No usage data is sent.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.demo import app

    app.serve(app.load(models), host, port)
