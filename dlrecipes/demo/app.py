"""The page, with one tab per published model, chosen by the signatures of its SavedModel."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from dlrecipes.demo import (
    boxes,
    digits,
    faces,
    images,
    paint,
    poems,
    requests,
    restored,
    samples,
    sentences,
)
from dlrecipes.demo.limits import DELETE_FILES, MAX_EVENTS, MAX_FILE, limit_pixels
from dlrecipes.demo.model import Model
from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export.version_folders import versions
from dlrecipes.serving.log import note

# The first entry that fits a model builds its tab; the last entry fits every model.
KINDS = (
    (images.fits, images.build),
    (boxes.fits, boxes.build),
    (restored.fits, restored.build),
    (digits.fits, digits.build),
    (sentences.fits, sentences.build),
    (poems.fits, poems.build),
    (poems.continues_text, poems.build_text),
    (faces.fits, faces.build),
    (paint.fits, paint.build),
    (samples.fits, samples.build),
    (lambda model: True, requests.build),
)
# System fonts, so that the page works without a network.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])


def load(models: Path) -> list[Model]:
    """Returns the latest version of each model in a folder, sorted by name.

    Models that cannot be loaded are skipped, with a note on standard error.

    Args:
        models: Folder of published models.

    Raises:
        UsageError: If there are no usable models.
    """
    print(f"Loading the models of {models}", flush=True)
    loaded = []
    for folder in sorted(models.iterdir()):
        if folder.name.startswith(".") or not versions(folder):
            continue
        try:
            model = Model(folder)
        except PublishError:
            continue  # `Model` has printed the reason.
        if model.servable.signatures:
            loaded.append(model)
        else:
            note(f"{model.folder} is left out: it has no signatures.")
    if not loaded:
        raise UsageError(
            f"{models}: no model is published there.", "Publish one: dlrecipes run RECIPE"
        )
    return loaded


def page(models: list[Model]) -> gr.Blocks:
    """Returns the page for a list of models."""
    with gr.Blocks(title="dlrecipes", analytics_enabled=False, delete_cache=DELETE_FILES) as blocks:
        gr.Markdown("# dlrecipes\nEach tab runs a published SavedModel.")
        with gr.Tabs():
            for model in models:
                with gr.Tab(model.name, id=model.name):
                    gr.Markdown(f"`{model.folder}`: {model.about}")
                    next(build for fits, build in KINDS if fits(model))(model)
    return blocks


def serve(models: list[Model], host: str, port: int) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
        models: Models to show.
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        UsageError: If the port is in use.
    """
    try:
        limit_pixels()
        page(models).queue(max_size=MAX_EVENTS).launch(
            server_name=host,
            server_port=port,
            quiet=True,
            share=False,
            prevent_thread_lock=True,
            theme=THEME,
            ssr_mode=False,
            max_file_size=MAX_FILE,
            footer_links=[],
        )
    except OSError as error:
        raise UsageError(
            f"--port {port}: cannot listen on it: {str(error).splitlines()[0]}",
            "Choose another --port.",
        ) from error
    wait(host, port, models)


def wait(host: str, port: int, models: list[Model]) -> None:
    """Prints the address of the page, and waits for Ctrl-C or SIGTERM."""
    import signal
    import threading

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    names = ", ".join(model.name for model in models)
    print(f"http://{host}:{port}  ({names}; Ctrl-C stops it)", flush=True)
    stopped.wait()
