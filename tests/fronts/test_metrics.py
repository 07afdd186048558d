"""Figures for Prometheus: from the database what it knows, from this process the rest."""

from __future__ import annotations

import asyncio
import json
import logging

import aiohttp
import pytest

from bot import masking, metrics
from bot.counts import Counts
from bot.events import Done, Stopped
from bot.fronts import http
from bot.fronts import metrics as front
from bot.store import Store


def scraped(store: Store, counts: Counts, headers: dict[str, str], **environ: str):
    async def ask() -> tuple[int, str]:
        async def health() -> dict[str, bool]:
            return {}

        routes = front.routes(store, environ, {"forged": 2}, counts)
        server = http.Server(http.application(health, routes), port=0)
        await server.start()
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"{server.url}/metrics", headers=headers) as answer,
            ):
                return answer.status, await answer.text()
        finally:
            await server.stop()

    return asyncio.run(ask())


def test_what_stands_there(store: Store):
    now = [1_790_000_000.0]
    store.now = lambda: now[0]
    for number, (seconds, state) in enumerate([(0.0, "done"), (70, "done"), (4000, "failed")]):
        operation, _ = store.submit(
            f"{number}", line="deploy prod", command="deploy", environment="prod", person="ada",
            front="slack", exclusive=True,
        )  # fmt: skip
        store.begin(operation.id)
        now[0] += seconds
        store.end(operation.id, state, Done("x") if state == "done" else Stopped("x"))
    store.submit("w", line="deploy prod", command="deploy", environment="prod", person="ada",
                 front="slack", exclusive=True)  # fmt: skip
    now[0] += 30
    with store.engine.begin() as c:
        c.execute(metrics.workers.insert().values(id="local", beat=now[0] - 4))
    counts = Counts()
    counts.acked("command", 0.03)
    counts.acked("command", 9.0)
    counts.slack_error("chat.update", "away")
    counts.aws_error("ec2", "Throttling")
    metrics.keep(store, counts)
    counts.aws_error("ec2", "Throttling")
    status, told = scraped(store, counts, {})
    assert status == 200
    for line in (
        'packlead_operations_total{command="deploy",end="done"} 2.0',
        'packlead_operations_total{command="deploy",end="failed"} 1.0',
        'packlead_operations_live{command="deploy",state="queued"} 1.0',
        'packlead_operation_seconds_bucket{command="deploy",le="1.0"} 1.0',
        'packlead_operation_seconds_bucket{command="deploy",le="120.0"} 2.0',
        'packlead_operation_seconds_bucket{command="deploy",le="+Inf"} 3.0',
        'packlead_operation_seconds_sum{command="deploy"} 4070.0',
        "packlead_queue 1.0",
        "packlead_queue_age_seconds 30.0",
        'packlead_worker_beat_age_seconds{worker="local"} 4.0',
        'packlead_ack_seconds_bucket{kind="command",le="0.05"} 1.0',
        'packlead_ack_seconds_count{kind="command"} 2.0',
        'packlead_slack_errors_total{kind="away",method="chat.update"} 1.0',
        'packlead_aws_errors_total{error="Throttling",service="ec2"} 2.0',
        'packlead_pushes_total{outcome="forged"} 2.0',
    ):
        assert line in told.splitlines(), f"{line}\nis not in\n{told}"


def test_a_label_cannot_end_its_line(store: Store):
    counts = Counts()
    counts.slack_error('a"} 1\nevil 1', "back\\slash")
    told = scraped(store, counts, {})[1]
    row = r'packlead_slack_errors_total{kind="back\\slash",method="a\"} 1\nevil 1"} 1.0'
    assert row in told.splitlines()


def test_what_workers_count_outlives_them(store: Store):
    for _ in range(2):
        worker = Counts()
        worker.aws_error("elbv2", "AccessDenied")
        metrics.keep(store, worker)
        assert not worker.aws
        metrics.keep(store, worker)
    assert metrics.read(store).aws == {("elbv2", "AccessDenied"): 2}


def test_what_could_not_be_kept_is_kept_the_next_time(store: Store):
    worker, away = Counts(), Store(store.url)
    worker.aws_error("ec2", "Throttling")
    with away.engine.begin() as c:
        c.exec_driver_sql("drop table notes")
    with pytest.raises(Exception, match="notes"):
        metrics.keep(away, worker)
    assert worker.aws["ec2", "Throttling"] == 1
    away.close()


def test_who_may_look(store: Store):
    far = {"X-Forwarded-For": "203.0.113.9"}
    token = {"PACKLEAD_METRICS_TOKEN": "a-token-of-the-scraper"}
    bearer = {"Authorization": "Bearer a-token-of-the-scraper"}
    assert scraped(store, Counts(), {})[0] == 200
    assert scraped(store, Counts(), far)[0] == 403
    assert scraped(store, Counts(), {"Host": "rebound.example.org"})[0] == 403
    assert scraped(store, Counts(), far | bearer)[0] == 403, "no token is set, so none is good"
    assert scraped(store, Counts(), far | bearer, **token)[0] == 200
    assert scraped(store, Counts(), far | {"Authorization": "Bearer a"}, **token)[0] == 403


def test_a_log_line_as_json_names_its_operation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_a-token-that-is-one")
    told = masking.about.set("slack:command:1.2.3")
    try:
        raise ValueError("with ghp_a-token-that-is-one")
    except ValueError:
        record = logging.LogRecord(
            "packlead", logging.ERROR, "", 1, "asking %s", ("ghp_a-token-that-is-one",),
            __import__("sys").exc_info(),
        )  # fmt: skip
        line = masking.JsonFormatter().format(record)
    finally:
        masking.about.reset(told)
    read = json.loads(line)
    assert (read["operation"], read["level"]) == ("slack:command:1.2.3", "error")
    assert read["text"] == "asking [GITHUB_TOKEN]" and "ValueError" in read["trace"]
    assert "ghp_" not in line and "\n" not in line
    assert "operation" not in json.loads(masking.JsonFormatter().format(record))
