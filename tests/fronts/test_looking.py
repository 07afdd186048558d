"""A real browser looks at the pages while an operation runs: lines arrive, parts fold, and axe
finds nothing serious.

Pictures of what it saw are kept where PICTURES names a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.config import Config
from bot.events import (
    Done,
    HostReport,
    Output,
    Planned,
    Question,
    Step,
    StepEnded,
    StepProgress,
    StepStarted,
    Stopped,
)
from bot.store import Lock, Store
from tests.fronts.browser import Browser, program
from tests.fronts.conftest import Worker
from tests.fronts.served import Served

PICTURES = os.environ.get("PICTURES", "")
LOOKS = [(1280, 800, False), (1280, 800, True), (390, 844, False), (390, 844, True)]
pytestmark = pytest.mark.skipif(not program(), reason="there is no chromium here to look with")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'packlead.db'}", key=b"k" * 40)
    yield store
    store.close()


@pytest.fixture
def served(config: Config, store: Store) -> Iterator[Served]:
    with Served(config, store) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Chromium, which must have had nothing to complain of in the end."""
    chromium.console.clear()
    chromium.look(1280, 800)
    yield chromium
    chromium.open("about:blank")
    assert chromium.console == []


def deploy(store: Store, environment: str = "prod", id: str = "") -> str:
    made, _ = store.submit(
        id or f"deploy-{environment}", line=f"deploy {environment} master", command="deploy",
        environment=environment, person="ada", front="slack", exclusive=True,
    )  # fmt: skip
    store.begin(made.id)
    return made.id


STEPS = (Step("prepare", "prepare 2 hosts"), Step("switch web", "switch prodweb1 and prodweb2"))
PLAN = Planned("deploy abc1234 (master) to prod, 2 hosts", ("comes: abc1234",), STEPS)


def prepared(worker: Worker, id: str) -> None:
    worker.tell(
        id, PLAN, StepStarted("prepare"),
        Output("prodweb1", "fetch the commit", "from origin\nabc1234"),
        Output("prodweb2", "fetch the commit", "from origin\nabc1234"),
        HostReport("prodweb1", "is prepared", "prepare"), StepEnded("prepare"),
        StepStarted("switch web"), StepProgress("switch web", "prodweb1: restart", 0, 2),
    )  # fmt: skip


def broken(worker: Worker, id: str) -> None:
    worker.tell(
        id, Output("prodweb1", "restart", ""),
        Output("prodweb1", "check health", "HTTP 500\n<b>boom</b>", ok=False),
        HostReport("prodweb1", "went back", "switch web", False), StepEnded("switch web", "failed"),
    )  # fmt: skip
    worker.end(id, Stopped("check health on prodweb1: 500", "go and look"), "failed")


def text(browser: Browser, selector: str) -> str:
    return str(browser.says(f"document.querySelector('{selector}')?.innerText ?? ''"))


def accuse(browser: Browser) -> list[str]:
    """Return what axe finds serious, or worse."""
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text()
    browser.call("Runtime.evaluate", expression=script)
    return list(
        browser.says(
            "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations"
            ".filter(v => ['serious', 'critical'].includes(v.impact))"
            ".map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))"
        )
    )


def seen(browser: Browser, name: str) -> None:
    """Look on each screen: nothing is too wide, axe is content, and a picture is kept."""
    for width, height, dark in LOOKS:
        browser.look(width, height, dark)
        wide = browser.says("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} wide on {width}"
        assert accuse(browser) == [], f"{name} at {width}, {'dark' if dark else 'light'}"
        if PICTURES:
            shade = "dark" if dark else "light"
            browser.picture(Path(PICTURES) / f"{name}-{width}-{shade}.png")
    browser.look(1280, 800)


def test_an_operation_is_watched(served: Served, browser: Browser, store: Store, worker: Worker):
    id = deploy(store)
    prepared(worker, id)
    browser.open(f"{served.url}/operations/1")
    browser.until("document.body.innerText.includes('prodweb1: restart')")
    assert text(browser, "#state .word") == "running"
    assert "0 of 2" in text(browser, "#log")
    assert "from origin" not in text(browser, "#log"), "what is over is folded"
    seen(browser, "log-running")

    broken(worker, id)
    browser.until("document.body.innerText.includes('<b>boom</b>')", "the failed task is not open")
    browser.until("document.querySelector('#state .word').textContent === 'failed'")
    assert "check health on prodweb1: 500" in text(browser, "#ending")
    assert browser.says("document.querySelectorAll('#log b').length") == 0
    assert browser.until("document.querySelector('#main').dataset.complete") == "yes"
    seen(browser, "log-failed")


def test_parts_fold_by_mouse_and_by_keyboard(
    served: Served, browser: Browser, store: Store, worker: Worker
):
    id = deploy(store)
    prepared(worker, id)
    broken(worker, id)
    browser.open(f"{served.url}/operations/1")
    browser.until("document.querySelector('#main').dataset.complete")
    browser.until("document.body.innerText.includes('<b>boom</b>')")
    prepare = "details.step:not(.plan)"
    browser.click(f"{prepare} > summary")
    browser.until(f"document.querySelectorAll('{prepare} details.host').length > 1")
    browser.says(f"document.querySelector('{prepare} details.host > summary').focus()")
    browser.press("Enter")
    browser.until(
        "[...document.querySelectorAll('.task')].some(t => t.innerText.includes('fetch'))"
    )
    browser.press("j")
    assert "fetch the commit" in browser.says("document.activeElement.innerText")
    browser.press("Enter")
    browser.until("document.querySelector('#log').innerText.includes('from origin')")
    browser.click("#fold")
    browser.until("!document.querySelector('#log').innerText.includes('boom')")
    browser.click("#next")
    browser.until("document.querySelector('#log').innerText.includes('boom')")

    browser.says("document.querySelector('#host').focus()")
    for key in "web2":
        browser.press(key)
    browser.until(
        "[...document.querySelectorAll('details.host')].every("
        "h => h.hidden === !h.innerText.includes('prodweb2'))"
    )


def test_the_whole_log_is_downloaded_by_a_click(
    served: Served, browser: Browser, store: Store, worker: Worker, tmp_path: Path
):
    id = deploy(store)
    prepared(worker, id)
    broken(worker, id)
    folder = tmp_path / "downloads"
    browser.keep_downloads(folder)
    browser.open(f"{served.url}/operations/1")
    browser.until("document.querySelector('#main').dataset.complete")
    browser.click("a[download]")
    file = browser.downloaded(folder)
    said = file.read_text()
    assert file.name == "packlead-1.log"
    assert "check health did not work" in said and "<b>boom</b>" in said
    assert said.splitlines()[0].endswith("ada asks: deploy prod master")
    assert browser.says("document.querySelector('#log') !== null"), "the page stays where it is"


def test_it_goes_on_where_it_was_when_the_line_was_cut(
    browser: Browser, config: Config, store: Store, worker: Worker
):
    id = deploy(store)
    prepared(worker, id)
    with Served(config, store) as served:
        port = int(served.url.rpartition(":")[2])
        browser.open(f"{served.url}/operations/1")
        browser.until("document.body.innerText.includes('prodweb1: restart')")
    broken(worker, id)
    with Served(config, store, port):
        browser.until("document.querySelector('#main').dataset.complete")
    assert browser.says("document.querySelectorAll('#log .step').length") == 3, "nothing twice"
    assert "2 lines" in text(browser, "details.step.bad")
    browser.console.clear()  # it has said that the line was cut


def test_the_board_is_kept_as_it_is_now(
    served: Served, browser: Browser, store: Store, worker: Worker
):
    done = deploy(store, "puppystream")
    store.releases.begin("puppystream", done, "b" * 40, "master", "A subject", "ada")
    store.releases.end(done, "healthy")
    worker.end(done, Done("puppystream runs bbbbbbb"))
    asks = deploy(store, "prod", "asks")
    store.ask(asks, Question("deploy abc to prod: sure?", "t", (), True, ("bob",)))
    store.locks.take(Lock("puppystream", "ada", "a demo", store.now()))
    browser.open(f"{served.url}/")
    assert "bbbbbbb" in browser.text() and "deploy abc to prod: sure?" in browser.text()
    browser.says("document.querySelector('.words summary').click()")
    seen(browser, "board")
    worker.tell(deploy(store, "prod", "next"), PLAN)
    browser.until("document.querySelector('.env').innerText.includes('changing')")
    assert browser.says("document.querySelector('.words').open"), "what was open stays open"


def test_a_link_is_forgotten_by_the_address_and_kept_by_the_cookie(
    served: Served, browser: Browser, store: Store, worker: Worker
):
    deploy(store)
    browser.call("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "203.0.113.9"})
    try:
        browser.open(f"{served.url}/")
        assert "/board" in browser.text()
        seen(browser, "refusal")
        browser.console.clear()  # it says that 403 was answered
        browser.open(served.links.board())
        assert "deploy prod master" in browser.text()
        assert browser.says("location.search") == ""
        browser.click("a.op")
        browser.until("document.querySelector('#log')?.innerText.includes('ada asks')")
        log = f"{served.url}/operations/1"
        browser.open(f"data:text/html,<a href='{log}'>a page that is not ours, with a link</a>")
        browser.click("a")
        browser.until("document.querySelector('#log')?.innerText.includes('ada asks')")
    finally:
        browser.call("Network.setExtraHTTPHeaders", headers={})
        browser.call("Network.clearBrowserCookies")
