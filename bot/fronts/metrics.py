"""GET /metrics: the figures in Prometheus' own words, for this machine or whoever has the token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from bot import metrics
from bot.counts import COUNTS, Buckets, Counts
from bot.fronts.http import Route
from bot.fronts.page_gate import HEADERS, bears, here
from bot.metrics import Reading
from bot.store import Store

PATH = "/metrics"
TOKEN = "PACKLEAD_METRICS_TOKEN"  # noqa: S105  # the name of the variable, not its value


def routes(
    store: Store,
    environ: Mapping[str, str],
    pushes: Mapping[str, int] | None = None,
    counts: Counts = COUNTS,
) -> list[Route]:
    """Return the route; `pushes` are the counts of the ways in for pushes, by outcome."""
    token = environ.get(TOKEN, "").strip()

    async def scrape(request: web.Request) -> web.Response:
        if not (here(request) or bears(request, token)):
            return web.Response(status=403, text=f"from here, or with {TOKEN}\n", headers=HEADERS)
        reading = await asyncio.to_thread(metrics.read, store)
        body = exposed(reading, counts, pushes or {})
        headers = {**HEADERS, "Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=body, headers=headers)

    return [web.get(PATH, scrape)]


def exposed(reading: Reading, counts: Counts, pushes: Mapping[str, int]) -> bytes:
    """Return the text that Prometheus reads."""

    class Told(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _database(reading)
            yield from _process(reading, counts, pushes)

    registry = CollectorRegistry()
    registry.register(Told())
    return generate_latest(registry)


def _database(reading: Reading) -> Iterator[Metric]:
    over = CounterMetricFamily(
        "packlead_operations", "Operations that are over", labels=["command", "end"]
    )
    live = GaugeMetricFamily(
        "packlead_operations_live", "Operations that are not", labels=["command", "state"]
    )
    for (command, state), number in sorted(reading.operations.items()):
        family = over if state in ("done", "failed", "cancelled") else live
        family.add_metric([command, state], number)
    yield over
    yield live
    lasted = HistogramMetricFamily(
        "packlead_operation_seconds", "From the beginning of an operation to its end",
        labels=["command"],
    )  # fmt: skip
    for command, buckets in sorted(reading.durations.items()):
        _add(lasted, command, buckets)
    yield lasted
    yield GaugeMetricFamily("packlead_queue", "Operations that wait for a worker", reading.queued)
    yield GaugeMetricFamily(
        "packlead_queue_age_seconds", "How long the oldest of them waits", reading.queue_age
    )
    beats = GaugeMetricFamily(
        "packlead_worker_beat_age_seconds", "Since a worker last said that it lives",
        labels=["worker"],
    )  # fmt: skip
    for worker, age in sorted(reading.beats.items()):
        beats.add_metric([worker], age)
    yield beats


def _process(reading: Reading, counts: Counts, pushes: Mapping[str, int]) -> Iterator[Metric]:
    acks = HistogramMetricFamily(
        "packlead_ack_seconds", "Until Slack was answered, by this process", labels=["kind"]
    )
    for kind, buckets in sorted(counts.acks.items()):
        _add(acks, kind, buckets)
    yield acks
    slack = CounterMetricFamily(
        "packlead_slack_errors", "Calls of Slack that did not work, of this process",
        labels=["method", "kind"],
    )  # fmt: skip
    for labels, number in sorted(counts.slack.items()):
        slack.add_metric(labels, number)
    yield slack
    aws = CounterMetricFamily(
        "packlead_aws_errors", "Calls of AWS that did not work", labels=["service", "error"]
    )
    for labels in sorted({*reading.aws, *counts.aws}):
        aws.add_metric(labels, reading.aws.get(labels, 0.0) + counts.aws.get(labels, 0))
    yield aws
    came = CounterMetricFamily(
        "packlead_pushes", "What came in by the ways for pushes, of this process",
        labels=["outcome"],
    )  # fmt: skip
    for outcome, number in sorted(pushes.items()):
        came.add_metric([outcome], number)
    yield came


def _add(family: HistogramMetricFamily, label: str, buckets: Buckets) -> None:
    family.add_metric([label], buckets=buckets.rows(), sum_value=buckets.total)
