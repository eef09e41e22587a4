"""What a server tells of itself: counts and times for Prometheus, and a line a request."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any, TextIO

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

# TensorFlow Serving's path and names.
PATH = "/monitoring/prometheus/metrics"
PREFIX = ":tensorflow:serving:"
# Milliseconds of requests and examples of runs, at whose counts the histograms are cut.
MILLISECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Telemetry:
    """Counts requests, and writes a line of JSON for each.

    Args:
        log: Where the lines go; `None` for none.
    """

    def __init__(self, log: TextIO | None = sys.stderr):
        self.log = log
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
            "Microseconds from a request's beginning to its answer.",
            ("model_name", "API", "entrypoint"),
            buckets=[1000 * one for one in MILLISECONDS],
            registry=self.registry,
        )
        self.examples = Histogram(
            f"{PREFIX}batch_size",
            "Examples that were answered by one run of a model.",
            ("model_name",),
            buckets=SIZES,
            registry=self.registry,
        )

    def page(self) -> bytes:
        """Returns the text that Prometheus reads."""
        # The client ends the names of counters by what TensorFlow Serving's have not.
        return generate_latest(self.registry).replace(b"request_count_total", b"request_count")

    def ran(self, servable: Any, examples: int) -> None:
        """Counts a run of a model."""
        self.examples.labels(servable.name).observe(examples)

    def record(self, model: str, method: str, status: str, seconds: float, **more: Any) -> None:
        """Counts a request and writes its line.

        Args:
            model: The model's name where there is one of that name, else empty.
            method: `predict`, `classify`, `regress`, `status`, `metadata` or `other`.
            status: The code of gRPC.
            seconds: How long it took.
            **more: What else the line says.
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
        # Whoever reads the log may have gone; requests are answered all the same.
        with contextlib.suppress(OSError, ValueError):
            print(json.dumps(line), file=self.log, flush=True)
