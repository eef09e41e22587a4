"""`dlrecipes serve`: published models behind TensorFlow Serving's REST API."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from dlrecipes.cli.options import check_models, host, served_models
from dlrecipes.errors import UsageError


@click.command(
    name="serve",
    short_help="Serve published models by TensorFlow Serving's REST API.",
    context_settings={"show_default": True},
)
@served_models
@host
@click.option("--port", type=click.IntRange(0, 65_535), default=8501, help="0: any that is free.")
@click.option(
    "--grpc-port", type=click.IntRange(0, 65_535), default=None, help="Port of gRPC; none without."
)
@click.option(
    "--max-batch", type=click.IntRange(1, 65_536), default=64, help="Examples of one run; 1: none."
)
@click.option(
    "--batch-timeout-ms",
    type=click.FloatRange(0, 10_000),
    default=2.0,
    help="How long a request waits for others.",
)
@click.option(
    "--queue",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    help="Requests that may wait; those beyond get 429.",
)
@click.option(
    "--time-limit", type=click.FloatRange(0.001, 86_400), default=60.0, help="Seconds a request."
)
@click.option(
    "--max-body-mb", type=click.FloatRange(0.001, 2048), default=32.0, help="Of a request."
)
@click.option(
    "--max-rows", type=click.IntRange(1, 1_000_000), default=1024, help="Examples of a request."
)
@click.option("--threads", type=click.IntRange(1, 256), default=2, help="Runs at a time.")
@click.option(
    "--poll-seconds",
    type=click.FloatRange(0.05, 86_400),
    default=1.0,
    help="Between two looks for new versions.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME:LABEL=VERSION",
    help="A version that stays, under /labels/LABEL, too; may be given again.",
)
@click.option("--log/--no-log", default=True, help="A line of JSON for each request.")
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
    max_rows: int,
    threads: int,
    poll_seconds: float,
    labels: tuple[str, ...],
    log: bool,
) -> None:
    """Serve the latest version of each published model over HTTP.

    It is TensorFlow Serving's REST API, and any SavedModel will do. New versions are
    picked up while it runs. Ctrl-C or SIGTERM ends it when its requests are answered.

    \b
    Examples:
      dlrecipes serve
      curl -d '{"inputs": ["leave Beijing on November 2nd"]}' \\
        localhost:8501/v1/models/slot_filling:predict
      curl localhost:8501/v1/models/slot_filling/metadata
    """
    found = _labels(labels)
    check_models(models)

    if grpc_port is not None and importlib.util.find_spec("tensorflow_serving") is None:
        raise UsageError(
            "--grpc-port: TensorFlow Serving's API is not installed.",
            "Install it: pip install 'dlrecipes[grpc]'",
        )

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.serving.limits import Limits
    from dlrecipes.serving.server import Settings, serve

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
            Limits(round(max_body_mb * 2**20), max_rows, time_limit),
            found,
            log,
            grpc_port=grpc_port,
        )
    )


def _labels(typed: tuple[str, ...]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in typed:
        name, _, rest = one.partition(":")
        label, _, version = rest.partition("=")
        if not (name and label and version.isascii() and version.isdigit()):
            raise UsageError(
                f"--label {one}: this is not NAME:LABEL=VERSION.",
                "Such is slot_filling:stable=3.",
            )
        found.setdefault(name, {})[label] = int(version)
    return found
