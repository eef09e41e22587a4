"""Limits on what visitors of the page send: file sizes, image pixels and text lengths."""

from __future__ import annotations

import warnings
from typing import Any

import gradio as gr
from PIL import Image, UnidentifiedImageError

MAX_FILE = "20mb"
# A photograph of 24 megapixels fits; its pixels take 72 MB of memory.
MAX_PIXELS = 25_000_000
MAX_TEXT = 2000
MAX_REQUEST = 1_000_000
# Pending events of all visitors.
MAX_EVENTS = 100
# Uploaded files are deleted when they are as old as the second number; the first is the interval
# in which this is checked, in seconds.
DELETE_FILES = (600, 3600)


def limit_pixels() -> None:
    """Makes Pillow refuse images of more than `MAX_PIXELS` before it decodes them."""
    # Pillow warns above this number, and refuses twice as many.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def bounded(component: Any) -> Any:
    """Returns an image field or canvas that reports refused images to the visitor.

    Args:
        component: Component that decodes an image.
    """
    decode = component.preprocess

    def preprocess(payload: Any) -> Any:
        try:
            return decode(payload)
        except Image.DecompressionBombError:
            problem = f"The image has more than {MAX_PIXELS // 10**6} megapixels."
        except (UnidentifiedImageError, OSError, SyntaxError):
            problem = "The file is not an image that can be read."
        raise gr.Error(problem, print_exception=False)

    component.preprocess = preprocess
    return component


def check_text(text: str, longest: int = MAX_TEXT) -> str:
    """Returns a text that is not too long.

    The `max_length` of a field holds in the browser only, so that this is checked as well.

    Args:
        text: Text to check.
        longest: Maximum number of characters. Defaults to `MAX_TEXT`.

    Raises:
        gr.Error: If the text is longer.
    """
    if len(text) > longest:
        raise gr.Error(
            f"The text has {len(text):,} characters; at most {longest:,} are accepted.",
            print_exception=False,
        )
    return text
