"""The figures in Prometheus' own words; loaded at the first scrape, since few are ever scraped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from bot.counts import Buckets, Counts
from bot.metrics import Reading

TYPE = CONTENT_TYPE_LATEST


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
