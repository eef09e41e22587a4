"""Requests to the REST API of a small model."""

import json

from dlrecipes.serving.limits import Limits

LIMITS = Limits(body=20_000, rows=50, seconds=30.0)


def post(client, path, body, **kwargs):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/v1/models/{path}", content=content, **kwargs)


def predict(client, body, path="half_plus_two:predict", **kwargs):
    return post(client, path, body, **kwargs)
