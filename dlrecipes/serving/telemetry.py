"""Metrics for Prometheus and a JSON log with one line per request."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from dlrecipes.serving.log import writer
from dlrecipes.serving.status import RequestError

# The path and the names are TensorFlow Serving's.
PATH = "/monitoring/prometheus/metrics"
PREFIX = ":tensorflow:serving:"
# Histogram bucket boundaries: request latencies in milliseconds, and examples per run.
MILLISECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Telemetry:
    """Counts requests and logs one JSON line per request.

    Args:
        log: Stream that the lines are written to; `None` disables the log. Defaults to standard
            error.
    """

    def __init__(self, log: TextIO | None = sys.stderr):
        self.log = None if log is None else writer(log)
        prometheus_client.disable_created_metrics()
        self.registry = CollectorRegistry()
        self.requests = Counter(
            f"{PREFIX}request_count",
            "Requests by model and status.",
            ("model_name", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            f"{PREFIX}request_latency",
            "Time from the start of a request to its response, in microseconds.",
            ("model_name", "API", "entrypoint"),
            buckets=[1000 * milliseconds for milliseconds in MILLISECONDS],
            registry=self.registry,
        )
        self.examples = Histogram(
            f"{PREFIX}batch_size",
            "Examples per run of a model.",
            ("model_name",),
            buckets=SIZES,
            registry=self.registry,
        )

    def page(self) -> bytes:
        """Returns the metrics in Prometheus' text format."""
        # The client appends "_total" to the names of counters; TensorFlow Serving does not.
        return generate_latest(self.registry).replace(b"request_count_total", b"request_count")

    def ran(self, servable: Any, examples: int) -> None:
        """Counts a run of a model."""
        self.examples.labels(servable.name).observe(examples)

    def record(self, model: str, method: str, status: str, seconds: float, **more: Any) -> None:
        """Counts a request and logs it.

        Args:
            model: Name of the model, or an empty string if there is no such model.
            method: `predict`, `classify`, `regress`, `status`, `metadata` or `other`.
            status: gRPC status code by name, such as `"OK"`.
            seconds: Duration of the request in seconds.
            **more: Further fields of the log line; those that are `None` or empty are left out.
        """
        self.requests.labels(model, status).inc()
        entry = "GRPC" if more.get("rpc") else "REST"
        self.latency.labels(model, method.capitalize(), entry).observe(1e6 * seconds)
        if self.log is None:
            return
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "model": model,
            "method": method,
            "status": status,
            "milliseconds": round(1000 * seconds, 3),
            **{name: value for name, value in more.items() if value not in (None, "")},
        }
        self.log.write(json.dumps(line))

    def refused(self, method: str, path: str, error: RequestError) -> None:
        """Records a request that was refused before it was read.

        Args:
            method: HTTP method.
            path: Path of the request.
            error: Reason.
        """
        fields = {"http": error.http, "path": f"{method} {path}"[:200]}
        self.record("", "other", error.code, 0.0, **fields)

    def close(self) -> None:
        """Waits for a short time until the log is written."""
        if self.log is not None:
            self.log.flush()
