"""A tab for any other model: a request as one would send it to the server, and its answer."""

from __future__ import annotations

import json

import gradio as gr

from dlrecipes.demo.model import Model, given
from dlrecipes.serving import json_body
from dlrecipes.serving.status import RequestError

REQUEST = '{"instances": []}'


def build(model: Model) -> None:
    """Lays out the tab."""
    names = sorted(model.servable.signatures)
    gr.Markdown("A request as `dlrecipes serve` takes it, and its answer.")
    signature = gr.Dropdown(names, value=names[0], label="Signature")
    takes = gr.Markdown(told(model, names[0]))
    asked = gr.Code(REQUEST, language="json", label="Request", interactive=True)
    send = gr.Button("Send", variant="primary")
    found = gr.Code(language="json", label="Answer", interactive=False)
    signature.change(lambda name: told(model, name), signature, takes)
    send.click(lambda *values: answered(model, *values), [signature, asked], found)


def told(model: Model, signature: str) -> str:
    """Returns what a signature takes, as Markdown."""
    inputs = model.servable.signature(signature).inputs
    return ", ".join(
        f"`{name}`: {spec.dtype.name} of shape {spec.shape}" for name, spec in inputs.items()
    )


def answered(model: Model, signature: str, body: str | None) -> str:
    """Returns the answer to a request, JSON.

    Raises:
        gr.Error: With the line that the server would answer.
    """
    try:
        found = model.servable.signature(signature)
        arrays, rows = json_body.inputs(
            json_body.parse(given(body, REQUEST).encode()), found.inputs
        )
        found.check(arrays)
        answer = json_body.answer(found.run(arrays), rows)
    except RequestError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
