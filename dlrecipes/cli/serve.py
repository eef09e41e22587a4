"""`dlrecipes serve`: serves published models with TensorFlow Serving's REST API."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.options import NumberRange, check_models, host, served_models
from dlrecipes.errors import UsageError

FILE = click.Path(path_type=Path)


@click.command(
    name="serve",
    short_help="Serve published models with TensorFlow Serving's REST API.",
    context_settings={"show_default": True},
)
@served_models
@host
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8501,
    help="Port of the REST API; 0 for a free one.",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65_535),
    default=None,
    help="Port of the gRPC services, which are off by default; 0 for a free one.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1, 65_536),
    default=64,
    help="Maximum examples per run; 1 disables batching.",
)
@click.option(
    "--batch-timeout-ms",
    type=NumberRange(0, 10_000),
    default=0.0,
    help="Time that a batch waits for more requests although a thread is free, in milliseconds.",
)
@click.option(
    "--queue",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    help="Maximum pending requests; further ones get status 429.",
)
@click.option(
    "--time-limit",
    type=NumberRange(0.001, 86_400),
    default=60.0,
    help="Timeout per request, in seconds.",
)
@click.option(
    "--max-body-mb",
    type=NumberRange(0.001, 2048),
    default=32.0,
    help="Maximum size of a request's body, in MiB.",
)
@click.option(
    "--max-output-mb",
    type=NumberRange(0.001, 2047),
    default=64.0,
    help="Maximum size of a response's outputs, in MiB.",
)
@click.option(
    "--max-rows",
    type=click.IntRange(1, 1_000_000),
    default=1024,
    help="Maximum examples per request.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), default=2, help="Concurrent runs of models."
)
@click.option(
    "--poll-seconds",
    type=NumberRange(0.05, 86_400),
    default=1.0,
    help="Interval in which the folder is checked for new versions, in seconds.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME:LABEL=VERSION",
    help="Keep a version and serve it under /labels/LABEL as well; repeatable.",
)
@click.option(
    "--body-time-limit",
    type=NumberRange(0.1, 86_400),
    default=60.0,
    help="Maximum time in which a request's body arrives, in seconds; 10 s without data end it.",
)
@click.option(
    "--keep-alive",
    type=NumberRange(0, 86_400),
    default=75.0,
    help="Time after which a connection without requests is closed, in seconds.",
)
@click.option(
    "--allowed-hosts",
    multiple=True,
    metavar="HOST,...",
    help="Host names under which the server is reached, such as *.example.com; * for any. By "
    "default a server on a loopback address accepts localhost, and others accept any; repeatable.",
)
@click.option(
    "--cors",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Web pages of other origins that may send requests, such as https://app.example.com; * "
    "for any; repeatable.",
)
@click.option("--certificate", type=FILE, help="PEM file with the certificate, to serve over TLS.")
@click.option("--key", type=FILE, help="PEM file with the certificate's private key.")
@click.option(
    "--api-key-file",
    type=FILE,
    help="File with a key that requests have to send as Authorization: Bearer KEY.",
)
@click.option(
    "--runtime",
    type=click.Choice(["tensorflow", "litert"]),
    default="tensorflow",
    help="litert answers with LiteRT files, without TensorFlow, in a fraction of the memory.",
)
@click.option("--log/--no-log", default=True, help="Log one JSON line per request.")
def command(
    models: Path,
    host: str,
    port: int,
    grpc_port: int | None,
    max_batch: int,
    batch_timeout_ms: float,
    queue: int,
    time_limit: float,
    max_body_mb: float,
    max_output_mb: float,
    max_rows: int,
    threads: int,
    poll_seconds: float,
    labels: tuple[str, ...],
    body_time_limit: float,
    keep_alive: float,
    allowed_hosts: tuple[str, ...],
    origins: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    api_key_file: Path | None,
    runtime: str,
    log: bool,
) -> None:
    """Serve the latest version of each published model over HTTP.

    The API is TensorFlow Serving's REST API; any SavedModel can be served. New versions
    are picked up while the server runs. On Ctrl-C or SIGTERM it answers the requests in
    progress and exits.

    \b
    Examples:
      dlrecipes serve
      curl -d '{"inputs": ["leave Beijing on November 2nd"]}' \\
        localhost:8501/v1/models/slot_filling:predict
      curl localhost:8501/v1/models/slot_filling/metadata
    """
    versions_by_label = _parse_labels(labels)
    check_models(models)
    if grpc_port is not None and runtime == "litert":
        raise UsageError("--grpc-port: the gRPC services need TensorFlow.", "Leave out --runtime.")
    if grpc_port is not None and importlib.util.find_spec("tensorflow_serving") is None:
        raise UsageError(
            "--grpc-port: the package tensorflow-serving-api is not installed.",
            "Install it: pip install 'dlrecipes[grpc]'",
        )

    from dlrecipes.serving import security

    access = security.Access(
        security.allowed_hosts(host, allowed_hosts),
        security.origins(origins),
        None if api_key_file is None else security.read_key(api_key_file),
    )
    security.tls_context(certificate, key)

    load: Callable[..., Any] | None = None
    if runtime == "litert":
        from dlrecipes.serving.litert_servable import LiteServable

        load = LiteServable
    else:
        from dlrecipes._utils.quiet import load_tensorflow

        load_tensorflow()
    from dlrecipes.serving.limits import Limits
    from dlrecipes.serving.server import Settings, serve

    body, output = round(max_body_mb * 2**20), round(max_output_mb * 2**20)
    limits = Limits(body, max_rows, time_limit, output, body_time_limit)
    serve(
        Settings(
            models,
            host,
            port,
            max_batch,
            batch_timeout_ms / 1000,
            queue,
            threads,
            poll_seconds,
            limits,
            versions_by_label,
            log,
            grpc_port=grpc_port,
            keep_alive=keep_alive,
            access=access,
            load=load,
            certificate=None if certificate is None or key is None else (certificate, key),
        )
    )


def _parse_labels(values: tuple[str, ...]) -> dict[str, dict[str, int]]:
    labels: dict[str, dict[str, int]] = {}
    for value in values:
        name, _, rest = value.partition(":")
        label, _, version = rest.partition("=")
        if not (name and label and version.isascii() and version.isdigit()):
            raise UsageError(
                f"--label {value}: expected NAME:LABEL=VERSION.",
                "Example: --label slot_filling:stable=3",
            )
        labels.setdefault(name, {})[label] = int(version)
    return labels
