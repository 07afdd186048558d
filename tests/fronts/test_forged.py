"""A thousand forged, replayed and mangled requests at each way in: none is done, none breaks it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.fronts import serving
from bot.store import Store
from tests.fronts.conftest import Running
from tests.fronts.forging import MARK, GitHub, Slack, Tokens, Wire

HOOKS, TOKENS = "webhook-secret-of-the-lab", "secret-of-the-tokens-of-the-lab"
EACH = 85  # of every class: with the replays more than a thousand
SEED = 6


@pytest.fixture
def config(config: Config) -> Config:
    data = config.model_dump(exclude_defaults=True)
    data["github"] = {"repository": "lab/kennel", "service": "ada"}
    data["environments"]["puppystream"]["auto"] = "master"
    data["people"]["ada"]["github"] = "ada"
    return Config.model_validate(data)


@pytest.fixture
def replica(
    config: Config, store: Store, known, slack, environ: dict[str, str]
) -> Iterator[Callable[[], Running]]:
    """Start one more `packlead web` on the same database, with what it remembers of its own."""
    secrets = {
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "GITHUB_WEBHOOK_SECRET": HOOKS,
        "PACKLEAD_DEPLOYS_SECRET": TOKENS,
    }
    begun: list[tuple[Running, Store]] = []

    def start() -> Running:
        own = Store(store.url, key=store.key)
        parts = (config, own, Dispatcher(config, known, own))
        running = Running(*parts, environ | secrets, serving.serve).start()
        begun.append((running, own))
        return running

    yield start
    for running, own in begun:
        running.stop()
        own.close()


@pytest.fixture(params=["Slack", "GitHub", "tokens"])
def forger(request: pytest.FixtureRequest, slack) -> Slack | GitHub | Tokens:
    return {
        "Slack": lambda: Slack(slack.signing_secret, SEED),
        "GitHub": lambda: GitHub(HOOKS, SEED),
        "tokens": lambda: Tokens(TOKENS, SEED),
    }[request.param]()


def rows(store: Store) -> dict[str, int]:
    """Count what is in every table but where Slack's cards stand, which follow operations."""
    with store.engine.begin() as c:
        names = set(sa.inspect(c).get_table_names()) - {"notes", "workers"}
        return {n: c.execute(sa.text(f"select count(*) from {n}")).scalar_one() for n in names}


def test_a_thousand_forgeries(
    forger, replica: Callable[[], Running], store: Store, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    first = replica()
    wire = Wire(first.url)
    before, answered = rows(store), Counter[tuple[str, int]]()
    for sent in forger.forged(EACH):
        answered[sent.kind, wire.send(sent)] += 1
    assert rows(store) == before, f"something was recorded: {answered}"
    assert len({kind for kind, _ in answered}) == 11
    logged = "\n".join(f"{r.getMessage()} {r.exc_text or ''}" for r in caplog.records)
    assert MARK not in logged, "what nobody signed was written down"

    # The twelfth: what was good once, byte for byte, here and after a restart and elsewhere.
    good = [forger.good() for _ in range(12)]
    accepted = Counter(wire.send(one) for one in good)
    assert set(accepted) <= {200, 202}, f"what is good was not taken: {accepted}"
    once = rows(store)
    assert once["operations"] == before["operations"] + 12
    again = [forger.again(one) for one in good]

    def replay(there: Wire) -> None:
        same = Counter(there.send(one) for one in good)
        assert set(same) == {forger.replayed}, f"replayed, it is answered {same}"
        answered.update(("replayed", there.send(one)) for one in [*good, *again])

    replay(wire)
    replay(Wire(replica().url))  # it shares nothing with the first but the database
    first.stop()
    replay(Wire(replica().url))
    assert rows(store) == once, f"a replay was recorded: {answered}"

    assert sum(answered.values()) >= 1000, f"only {sum(answered.values())} were sent"
    broken = {key: n for key, n in answered.items() if not 200 <= key[1] < 500}
    assert not broken, f"not answered as it should be: {broken}"
    assert not any(status == 202 for _, status in answered), f"accepted: {answered}"
    assert not [r for r in caplog.records if r.exc_info], "somebody could fill the log"
