"""The HTML page at `/`: models with their data, versions, signatures and a request to copy."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dlrecipes.export.version import ModelVersion
from dlrecipes.export.version_folders import version_folders
from dlrecipes.recipe.published import facts
from dlrecipes.serving.servable import Signature
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.store import ModelStore

# The page needs nothing but its own style; names in it come from files.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:1em;"
    "user-select:all}table{border-collapse:collapse}"
    "th,td{text-align:left;vertical-align:top;padding:.2em 1.5em .2em 0;"
    "border-bottom:1px solid #ddd}"
)


@dataclass(frozen=True)
class Description:
    """Data, versions and signatures of a model, as the page shows them.

    Args:
        facts: Its data, date and score; empty if unknown. Defaults to `""`.
        versions: Numbers of the versions that answer requests. Defaults to none.
        signatures: Name, inputs and outputs of each signature. Defaults to none.
    """

    facts: str = ""
    versions: Sequence[int] = ()
    signatures: Sequence[tuple[str, str, str]] = ()


def describe(store: ModelStore, name: str) -> Description:
    """Returns the description of a served model; an empty one if it is no longer served.

    Args:
        store: Models that are served.
        name: Name of the model.
    """
    try:
        with store.using(name) as servable:
            model = store.models[name]
            signatures = [
                (key, _inputs(signature), ", ".join(signature.outputs))
                for key, signature in sorted(servable.signatures.items())
            ]
            folder = version_folders(store.folder / name).get(servable.version)
            return Description(_facts(folder), model.available(), signatures)
    except (RequestError, KeyError):
        return Description()


def _facts(folder: Any) -> str:
    try:
        return "" if folder is None else str(facts(ModelVersion(folder)))
    except OSError:  # The version was deleted a moment ago.
        return ""


def _inputs(signature: Signature) -> str:
    return ", ".join(f"{name}: {_type(spec)}" for name, spec in signature.inputs.items())


def _type(spec: Any) -> str:
    if spec.shape.rank is None:
        return f"{spec.dtype.name}, any shape"
    sizes = ["any" if size is None else str(size) for size in spec.shape]
    return f"{spec.dtype.name} ({', '.join(sizes)})"


def page(entries: Sequence[Mapping[str, Any]], descriptions: Sequence[Description]) -> str:
    """Returns the page.

    Args:
        entries: Name, version and command of each model.
        descriptions: Their descriptions.
    """
    parts = [_part(*pair) for pair in zip(entries, descriptions, strict=True)]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>Served models</title>"
        f"<style>{_STYLE}</style><h1>Served models</h1>"
        f"{''.join(parts) or '<p>No models are served yet.</p>'}</html>\n"
    )


def _part(entry: Mapping[str, Any], about: Description) -> str:
    name = html.escape(entry["name"])
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in about.signatures
    )
    versions = ", ".join(map(str, about.versions))
    signatures = "<tr><th>signature</th><th>inputs</th><th>outputs</th></tr>"
    return (
        f"<h2>{name}, version {html.escape(entry['version'])}</h2>"
        + (f"<p>{html.escape(about.facts)}</p>" if about.facts else "")
        + (f"<p>Versions served: {versions}</p>" if len(about.versions) > 1 else "")
        + f"<pre>{html.escape(entry['curl'])}</pre>"
        + (f"<table>{signatures}{rows}</table>" if rows else "")
        + f'<p><a href="/v1/models/{quote(entry["name"], safe="")}/metadata">Metadata</a></p>'
    )
