"""The form in which a value is typed: it opens at once, and nobody else looks.

Slack's trigger lives three seconds, and a listener never waits for Slack: the form is opened by a
task of its own, right after the ack. What was typed comes back in a submission, and goes to the
dispatcher alone, which seals it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.dispatcher import Wanted
from bot.fronts.slack_send import Away, Lost, No, Web

log = logging.getLogger(__name__)

NAME = "value"  # of our forms: their callback_id
LONGEST = 3000  # characters that an input of Slack takes
TRIES, PAUSE = 3, 0.4  # within the trigger's three seconds
RANDOM = "random"
Json = dict[str, Any]


@dataclass(frozen=True)
class Typed:
    """A form that somebody sent: the whole line, and the value; None: a random one."""

    id: str
    line: str
    user: str
    teams: frozenset[str]
    audience: Mapping[str, Any]
    value: str | None = field(repr=False)


class Forms:
    """Opens forms."""

    def __init__(self, web: Web, whisper: Callable[[Mapping[str, Any], str], None]) -> None:
        self.web, self.whisper = web, whisper
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, trigger: str, wanted: Wanted, audience: Mapping[str, Any]) -> None:
        """Open the form for a value, soon; where that fails, say what to do."""
        task = asyncio.create_task(self._open(trigger, wanted, audience))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, trigger: str, wanted: Wanted, audience: Mapping[str, Any]) -> None:
        shown, why = view(wanted, audience), ""
        for _ in range(TRIES):
            try:
                await self.web.call("views.open", trigger_id=trigger, view=shown)
                return
            except Away as away:
                why = str(away)
                await asyncio.sleep(PAUSE)
            except (Lost, No) as error:
                why = str(error)
                break
        log.warning("opening a form: %s", why)
        self.whisper(audience, f"the form did not open ({why})\ntype it again: /{wanted.line}")


def view(wanted: Wanted, audience: Mapping[str, Any]) -> Json:
    """Return the form."""
    blocks: list[Json] = []
    if not wanted.environment:
        options = [{"text": _plain(e), "value": e} for e in wanted.environments[:100]]
        select = {"type": "static_select", "action_id": "environment", "options": options}
        blocks.append(_input("environment", "Environment", select))
    typed = {
        "type": "plain_text_input", "action_id": "value", "multiline": True,
        "max_length": LONGEST,
    }  # fmt: skip
    hint = "Kept exactly as it is, line ends included. A longer one: packlead run, in a terminal."
    blocks.append(_input("value", "New value", typed, hint))
    random = {
        "type": "checkboxes", "action_id": "random",
        "options": [{"text": _plain("Make a random one instead"), "value": RANDOM}],
    }  # fmt: skip
    blocks.append(_input("random", "Or", random))
    where = f" of {wanted.environment}" if wanted.environment else ""
    about = _plain(f"{wanted.key}{where} gets a new version. The value goes to its store, sealed.")
    return {
        "type": "modal",
        "callback_id": NAME,
        "title": _plain("New value"),
        "submit": _plain("Rotate"),
        "close": _plain("Cancel"),
        "clear_on_close": True,
        "private_metadata": json.dumps(
            {"line": wanted.line, "audience": dict(audience)}, ensure_ascii=False
        ),
        "blocks": [{"type": "section", "text": about}, *blocks],
    }


def read(body: Mapping[str, Any]) -> Typed | Json | None:
    """Return what was sent, or the mistakes in it as Slack wants them; None: no form of ours."""
    shown = body.get("view") or {}
    if shown.get("callback_id") != NAME:
        return None
    held = (shown.get("state") or {}).get("values") or {}
    given: Json = {name: state for block in held.values() for name, state in block.items()}
    about = json.loads(shown["private_metadata"])
    value = (given.get("value") or {}).get("value") or ""
    random = bool((given.get("random") or {}).get("selected_options"))
    chosen = (given.get("environment") or {}).get("selected_option") or {}
    if "environment" in given and not chosen:
        return {"environment": "choose one"}
    if bool(value) == random:
        return {
            "value": "type a value, or have a random one: not both" if value else "type a value"
        }
    line = " ".join(part for part in (about["line"], chosen.get("value", "")) if part)
    user, team = body.get("user") or {}, (body.get("team") or {}).get("id")
    teams = frozenset(str(t) for t in (user.get("team_id"), team) if t) or frozenset({"unknown"})
    return Typed(
        f"slack:form:{shown.get('id', '')}",
        f"{line} --generate" if random else line,
        str(user.get("id", "")),
        teams,
        about["audience"],
        None if random else value,
    )


def _input(name: str, label: str, element: Json, hint: str = "") -> Json:
    block: Json = {"type": "input", "block_id": name, "label": _plain(label), "element": element}
    block["optional"] = name != "environment"
    return block | ({"hint": _plain(hint)} if hint else {})


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text[:2000]}
