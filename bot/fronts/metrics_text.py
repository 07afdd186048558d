"""The figures in Prometheus' own words: its text format, of which we need counters, gauges and
histograms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bot.counts import Buckets, Counts
from bot.metrics import Reading

TYPE = "text/plain; version=0.0.4; charset=utf-8"
ENDS = ("done", "failed", "cancelled")

Labels = Mapping[str, str]
Row = tuple[Labels, float]


def exposed(reading: Reading, counts: Counts, pushes: Mapping[str, int]) -> bytes:
    """Return the text that Prometheus reads."""
    lines = [*_database(reading), *_process(reading, counts, pushes)]
    return "".join(f"{line}\n" for line in lines).encode()


def _database(reading: Reading) -> Iterator[str]:
    of = sorted(reading.operations.items())
    over = [({"command": c, "end": s}, n) for (c, s), n in of if s in ENDS]
    live = [({"command": c, "state": s}, n) for (c, s), n in of if s not in ENDS]
    yield from _rows("operations_total", "counter", "Operations that are over", over)
    yield from _rows("operations_live", "gauge", "Operations that are not", live)
    yield from _histogram(
        "operation_seconds", "From the beginning of an operation to its end",
        "command", reading.durations,
    )  # fmt: skip
    waiting = "Operations that wait for a worker"
    yield from _rows("queue", "gauge", waiting, [({}, reading.queued)])
    oldest = "How long the oldest of them waits"
    yield from _rows("queue_age_seconds", "gauge", oldest, [({}, reading.queue_age)])
    beats = [({"worker": name}, age) for name, age in sorted(reading.beats.items())]
    said = "Since a worker last said that it lives"
    yield from _rows("worker_beat_age_seconds", "gauge", said, beats)


def _process(reading: Reading, counts: Counts, pushes: Mapping[str, int]) -> Iterator[str]:
    answered = "Until Slack was answered, by this process"
    yield from _histogram("ack_seconds", answered, "kind", dict(counts.acks))
    slack = [({"kind": k, "method": m}, n) for (m, k), n in sorted(counts.slack.items())]
    said = "Calls of Slack that did not work, of this process"
    yield from _rows("slack_errors_total", "counter", said, slack)
    aws = [
        ({"error": e, "service": s}, reading.aws.get((s, e), 0.0) + counts.aws.get((s, e), 0))
        for s, e in sorted({*reading.aws, *counts.aws})
    ]
    yield from _rows("aws_errors_total", "counter", "Calls of AWS that did not work", aws)
    came = [({"outcome": outcome}, n) for outcome, n in sorted(pushes.items())]
    said = "What came in by the ways for pushes, of this process"
    yield from _rows("pushes_total", "counter", said, came)


def _rows(name: str, kind: str, said: str, rows: Iterable[Row]) -> Iterator[str]:
    yield f"# HELP packlead_{name} {said}"
    yield f"# TYPE packlead_{name} {kind}"
    for labels, value in rows:
        yield _row(name, labels, value)


def _histogram(name: str, said: str, label: str, each: Mapping[str, Buckets]) -> Iterator[str]:
    yield from _rows(name, "histogram", said, ())
    for value, buckets in sorted(each.items()):
        labels = {label: value}
        for bound, below in buckets.rows():
            yield _row(f"{name}_bucket", {**labels, "le": bound}, below)
        yield _row(f"{name}_count", labels, sum(buckets.counts))
        yield _row(f"{name}_sum", labels, buckets.total)


def _row(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return (
        f"packlead_{name}{{{told}}} {float(value)}" if told else f"packlead_{name} {float(value)}"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
