"""Requests that are invalid by construction get a 4xx in JSON, and the server keeps working."""

import gzip
import json
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import strategies as st
from starlette.testclient import TestClient

from dlrecipes.serving.limits import Limits
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.store import ModelStore

QUICK, MANY = 300, 10_000
PREDICT = "/v1/models/half:predict"
NAMES = ("serving_default", "two", "scalar", "classify_x", "regress_x", "")

numbers = st.floats(-900, 900, width=32)
json_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# JSON values that cannot be converted to float32.
invalid_leaves = (
    st.none()
    | st.booleans()
    | st.text()
    | st.integers(10**39, 10**300)
    | st.floats(1e39, 1e300)
    | st.dictionaries(st.text(), json_values, max_size=3)
)


def is_invalid_json(content):
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return True
    return False


def nested(depth, opening):
    return b'{"instances": ' + opening * depth


@st.composite
def rows_with_an_invalid_value(draw):
    rows = draw(st.lists(numbers, max_size=20))
    rows.insert(draw(st.integers(0, len(rows))), draw(invalid_leaves))
    return {draw(st.sampled_from(["instances", "inputs"])): rows}


@st.composite
def ragged_rows(draw):
    lengths = draw(st.lists(st.integers(0, 4), min_size=2, max_size=6))
    return {"instances": [[1.0] * length for length in (*lengths, lengths[0] + 1)]}


objects = st.one_of(
    # Neither key, both keys, or a value that is not a list.
    st.dictionaries(st.text().filter(lambda k: k not in ("inputs", "instances")), json_values),
    st.builds(lambda a, b: {"inputs": a, "instances": b}, json_values, json_values),
    st.builds(lambda a: {"instances": a}, json_values.filter(lambda v: not isinstance(v, list))),
    st.just({"instances": []}),
    rows_with_an_invalid_value(),
    ragged_rows(),
    # One level of nesting too many or too few.
    st.lists(numbers, max_size=9).map(lambda rows: {"instances": [rows, rows]}),
    numbers.map(lambda x: {"inputs": x}),
    # Names that the signature does not have.
    st.text().filter(lambda k: k not in ("x", "b64")).map(lambda k: {"instances": [{k: 1.0}]}),
    st.text().filter(lambda k: k not in ("x", "b64")).map(lambda k: {"inputs": {k: [1.0]}}),
    # Unknown signatures.
    st.builds(
        lambda name: {"signature_name": name, "instances": [1.0]},
        json_values.filter(lambda v: v not in NAMES),
    ),
    # Invalid base64.
    st.text(alphabet="!?*$ü", min_size=1).map(
        lambda t: {"signature_name": "two", "inputs": {"a": [[1, 2]], "text": [{"b64": t}]}}
    ),
    # More rows than the limit.
    st.integers(51, 400).map(lambda count: {"instances": [0.0] * count}),
    # Values that the model refuses.
    st.lists(st.integers(1000, 10_000), min_size=1, max_size=5).map(lambda x: {"inputs": x}),
)

bodies = st.one_of(
    st.binary(max_size=200).filter(is_invalid_json),
    st.text(max_size=100).map(lambda t: t.encode("utf-8", "surrogatepass")).filter(is_invalid_json),
    json_values.filter(lambda v: not isinstance(v, dict)).map(lambda v: json.dumps(v).encode()),
    objects.map(lambda v: json.dumps(v).encode()),
    # Truncated JSON.
    st.builds(lambda v, n: json.dumps(v).encode()[: -n - 1], objects, st.integers(0, 5)).filter(
        is_invalid_json
    ),
    st.builds(nested, st.integers(1, 9000), st.sampled_from([b"[", b'{"a":', b"[[", b"[{"])),
    st.integers(20_001, 40_000).map(lambda size: b" " * size),
)

requests = st.one_of(
    bodies.map(lambda body: ("POST", PREDICT, body, {})),
    bodies.map(lambda body: ("POST", "/v1/models/half:classify", body, {})),
    bodies.map(lambda body: ("POST", "/v1/models/half:regress", body, {})),
    st.builds(
        lambda body, cut: (
            "POST",
            PREDICT,
            gzip.compress(body)[:-cut],
            {"content-encoding": "gzip"},
        ),
        bodies,
        st.integers(1, 8),
    ),
    st.builds(
        lambda body, coding: ("POST", PREDICT, body, {"content-encoding": coding}),
        bodies,
        st.sampled_from(["gzip", "br", "deflate", "x"]),
    ),
    st.builds(
        lambda method, path: (method, f"/{quote(path, safe='/:')}", b"", {}),
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
        st.text(max_size=40) | st.text(max_size=20).map("v1/models/half/{}".format),
    )
    .filter(lambda request: not request[1].startswith(("/v1/models/half/metadata", "//")))
    .filter(lambda request: request[:2] != ("GET", "/")),
    st.builds(
        lambda name, kind: ("POST", f"/v1/models/{quote(name, safe='')}{kind}", b"{}", {}),
        st.text(min_size=1, max_size=30).filter(lambda n: n != "half"),
        st.sampled_from([":predict", ":classify", "/versions/1:predict", "/labels/a:predict"]),
    ),
)


@pytest.fixture(scope="module")
def client(half):
    store = ModelStore(half)
    store.refresh()
    limits = Limits(body=20_000, rows=50)
    settings = Settings(half, limits=limits, batch_timeout=0.0, log=False)
    with TestClient(application(settings, store), raise_server_exceptions=False) as client:
        yield client


def check(client, request):
    method, path, body, headers = request
    response = client.request(method, path, content=body, headers=headers)
    assert 400 <= response.status_code < 500, (request, response.status_code, response.text)
    assert response.headers["content-type"] == "application/json"
    message = response.json()["error"]
    assert message
    assert "Traceback" not in message


def check_still_works(client):
    response = client.post(PREDICT, content=b'{"instances": [1.0, 2.0]}')
    assert response.json() == {"predictions": [2.5, 3.0]}


def check_many(count, check_one):
    """Calls a function with generated requests."""
    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    settings(hypothesis.given(requests)(check_one))()


def test_malformed_requests_are_refused(client):
    check_many(QUICK, lambda request: check(client, request))
    check_still_works(client)


@pytest.mark.slow
def test_many_malformed_requests_are_refused(client):
    seen = []

    def record_and_check(request):
        seen.append(request)
        check(client, request)

    check_many(MANY, record_and_check)
    assert len(seen) >= MANY
    check_still_works(client)
