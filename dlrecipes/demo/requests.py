"""A tab for any other model, with a request as the server takes it and the response."""

from __future__ import annotations

import json

import gradio as gr

from dlrecipes.demo.limits import MAX_REQUEST, check_text
from dlrecipes.demo.model import Model, value_or
from dlrecipes.serving import json_body, json_output
from dlrecipes.serving.example_requests import stored_requests
from dlrecipes.serving.status import RequestError

REQUEST = '{"instances": []}'


def build(model: Model) -> None:
    """Lays out the tab."""
    names = sorted(model.servable.signatures)
    gr.Markdown("A request in the format of `dlrecipes serve`, and the response.")
    signature = gr.Dropdown(names, value=names[0], label="Signature")
    stored = example_requests(model, names[0])
    takes = gr.Markdown(describe_inputs(model, names[0]))
    request = gr.Code(stored[0], language="json", label="Request", interactive=True)
    if len(stored) > 1:
        gr.Examples([[body] for body in stored], [request], label="Stored examples")
    send = gr.Button("Send", variant="primary")
    response = gr.Code(language="json", label="Response", interactive=False)
    signature.change(
        lambda name: (describe_inputs(model, name), example_requests(model, name)[0]),
        signature,
        [takes, request],
    )
    send.click(lambda *values: respond(model, *values), [signature, request], response)


def example_requests(model: Model, signature: str) -> list[str]:
    """Returns requests with the examples that are stored with the version, as JSON."""
    bodies = stored_requests(model.folder, model.servable.signature(signature))
    return [body for body in bodies if len(body) <= MAX_REQUEST] or [REQUEST]


def describe_inputs(model: Model, signature: str) -> str:
    """Returns the inputs of a signature, as Markdown."""
    inputs = model.servable.signature(signature).inputs
    return ", ".join(
        f"`{name}`: {spec.dtype.name} of shape {spec.shape}" for name, spec in inputs.items()
    )


def respond(model: Model, signature: str, body: str | None) -> str:
    """Returns the response to a request, as JSON.

    Args:
        model: Model to run.
        signature: Name of the signature.
        body: JSON body of the request. None means `REQUEST`.

    Raises:
        gr.Error: If the request is invalid; the message is the server's.
    """
    try:
        entry = model.servable.signature(signature)
        parsed = json_body.parse(check_text(value_or(body, REQUEST), MAX_REQUEST).encode())
        arrays, rows = json_body.inputs(parsed, entry.inputs)
        response = json_output.answer(entry.run(arrays), rows)
    except RequestError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return json.dumps(json.loads(response), indent=2, ensure_ascii=False)
