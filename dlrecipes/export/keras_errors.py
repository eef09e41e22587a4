"""Readable errors of Keras when a `.keras` file is written or loaded, or a model is called."""

from __future__ import annotations

import re

from dlrecipes.errors import reason

# Classes of these packages are loaded by their modules' names; all others must be registered.
PACKAGES = ("keras", "keras_hub", "keras_cv", "keras_nlp")
OF_KERAS = "(an error of Keras)."
DECORATOR = "@keras.saving.register_keras_serializable()"


def needs_user(error: BaseException | None) -> str:
    """Returns what only the user can provide to load a file, or `""` for another error.

    Args:
        error: Error of `keras.saving.load_model`.
    """
    if re.search("Could not locate (class|function)", str(error)):
        return "classes that are not registered"
    if "unsafe_deserialization" in str(error):
        return "Python code (a Lambda layer)"
    return ""


def how_to_load(error: BaseException, compile: bool) -> str:
    """Returns the hint for a file that only the user can load.

    Args:
        error: Error of `keras.saving.load_model`.
        compile: Whether losses, metrics and the optimizer were to be restored.
    """
    if "unsafe_deserialization" in str(error):
        return "If you trust it, call keras.config.enable_unsafe_deserialization() first."
    without = ", or load it with compile=False" if compile else ""
    return f"Import the module that defines and registers it{without}."


def plain(error: Exception) -> str:
    """Returns in one line why Keras could not save, load or call a model."""
    # The text of a KeyError has its line breaks escaped.
    key = isinstance(error, KeyError)
    original = str(error).replace("\\n", "\n").replace("\\x1b", "\x1b") if key else str(error)
    # Keras names the layer that failed, and prints the reason in bold type.
    reasons = re.findall(r"\x1b\[1m(.+?)\x1b\[0m", original)
    text = re.sub(r"\x1b\[\d*m", "", original)
    layers = re.findall(r"Exception encountered when calling (\S+)", text)
    if layers and reasons and key:
        return f"{layers[-1].rstrip('.')}: there is no {reasons[-1].strip()[:200]!r}"
    if layers and reasons:
        return f"{layers[-1].rstrip('.')}: {reasons[-1].strip()[:200]}"
    if not text.strip():
        return type(error).__name__
    unknown = re.findall(r"Could not locate (class|function) '([^']+)'", text)
    if unknown:
        return f"the {unknown[-1][0]} {unknown[-1][1]} is not registered ({DECORATOR})"
    failed = re.findall(r"<class '([^']+)'> could not be deserialized", text)
    if failed:
        cause = text.rpartition("Exception encountered: ")[2].strip().splitlines()[0].rstrip(".")
        root, _, name = failed[-1].rpartition(".")
        message = f"the class {name} cannot be created from its own configuration: {cause[:200]}"
        if root.split(".")[0] in PACKAGES:
            return f"{message} {OF_KERAS}"
        return f"{message}. Its get_config must return all arguments of its constructor."
    if cycle := re.search(r"from operation '(\S+)' is part of a cycle", text):
        return f"the layer {cycle[1]} cannot be created from its own configuration {OF_KERAS}"
    if "unsafe_deserialization" in text or "safe_mode" in text:
        return "it holds Python code (a Lambda layer), and safe=False is not set."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines[0].startswith("in user code"):
        return lines[-1]
    return reason(RuntimeError(text)) if len(lines) > 1 else text
