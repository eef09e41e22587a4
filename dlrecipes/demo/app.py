"""The page: a tab for each published model, laid out for what its SavedModel takes."""

from __future__ import annotations

import sys
from pathlib import Path

import gradio as gr

from dlrecipes.demo import digits, faces, paint, poems, requests, samples, sentences
from dlrecipes.demo.model import Model
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export.version import versions

# The first that fits a model lays out its tab; the last fits any.
KINDS = (
    (digits.fits, digits.build),
    (sentences.fits, sentences.build),
    (poems.fits, poems.build),
    (poems.goes_on, poems.build_text),
    (faces.fits, faces.build),
    (paint.fits, paint.build),
    (samples.fits, samples.build),
    (lambda model: True, requests.build),
)
# No font is fetched: the page works without a network.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])


def load(models: Path) -> list[Model]:
    """Returns the latest version of each model of a folder, by name; says which do not load.

    Raises:
        UsageError: If there is none.
    """
    print(f"Loading the models of {models}", flush=True)
    found = []
    for folder in sorted(models.iterdir()):
        if not versions(folder):
            continue
        try:
            model = Model(folder)
        except PublishError:
            continue  # It was told.
        if model.servable.signatures:
            found.append(model)
        else:
            print(f"Note: {model.folder}: it has no signature to ask.", file=sys.stderr)
    if not found:
        raise UsageError(f"{models}: no model is published there.", "Make one: dlrecipes run NAME")
    return found


def page(models: list[Model]) -> gr.Blocks:
    """Returns the page of some models."""
    with gr.Blocks(title="dlrecipes", analytics_enabled=False) as blocks:
        gr.Markdown("# dlrecipes\nEach tab asks a published SavedModel.")
        with gr.Tabs():
            for model in models:
                with gr.Tab(model.name, id=model.name):
                    gr.Markdown(f"`{model.folder}`")
                    next(build for fits, build in KINDS if fits(model))(model)
    return blocks


def serve(models: list[Model], host: str, port: int) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Raises:
        UsageError: If the port is taken.
    """
    try:
        page(models).launch(
            server_name=host,
            server_port=port,
            quiet=True,
            share=False,
            prevent_thread_lock=True,
            theme=THEME,
            ssr_mode=False,
            footer_links=[],
        )
    except OSError as error:
        raise UsageError(
            f"--port {port}: it cannot be listened on: {str(error).splitlines()[0]}",
            "Choose another --port.",
        ) from error
    wait(host, port, models)


def wait(host: str, port: int, models: list[Model]) -> None:
    """Says where the page is, and sleeps until a signal comes."""
    import signal
    import threading

    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    names = ", ".join(model.name for model in models)
    print(f"http://{host}:{port}  ({names}; Ctrl-C ends it)", flush=True)
    end.wait()
