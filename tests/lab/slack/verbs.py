"""What people do with a command or a button."""

from __future__ import annotations

from typing import Any

from tests.lab.slack import chat, payloads
from tests.lab.slack.checks import refuse
from tests.lab.slack.choices import chosen
from tests.lab.slack.hub import Hub
from tests.lab.slack.people import BOT, BOT_USER
from tests.lab.slack.records import Delivery, Json, Message, SlackError, elements_of
from tests.lab.slack.tickets import ResponseUrl
from tests.lab.slack.views import snapshot


async def command(hub: Hub, user: str, name: str, text: str, channel: str) -> Delivery:
    room, person = hub.workspace.channel(channel), hub.person(user)
    if hub.workspace.scopes is not None and not _is_known(hub, name):
        hub.workspace.tell_privately(user, channel, f"{name} is not a valid command.")
        return Delivery("slash_commands", {}, user=user, channel=channel, error="invalid_command")
    trigger = hub.tickets.trigger(user)
    url = hub.response_url(user, channel)
    body = payloads.slash_command(person, room, name, text, trigger, url)
    delivery = await hub.courier.deliver(
        Delivery(
            "slash_commands",
            body,
            user=user,
            channel=channel,
            trigger_id=trigger,
            response_url=url,
        )
    )
    if not delivery.acked:
        told = f'{name} failed with the error "{delivery.error}"'
        hub.workspace.tell_privately(user, channel, told)
    elif delivery.answer and (delivery.answer.get("text") or delivery.answer.get("blocks")):
        _show_answer(hub, delivery, f"ack of {name}", ResponseUrl("", user, channel, 0))
    return delivery


async def click(
    hub: Hub,
    user: str,
    where: str,
    action_id: str,
    value: Any = None,
    block_id: str = "",
    stale: bool = False,
) -> Delivery:
    """Press a button, or choose a value, in a message (by ts) or a view (by id).

    `stale`: also what an earlier version of the message showed, as on a screen that lags behind.
    """
    person = hub.person(user)
    view = hub.views.find(where) if where.startswith("V") else None
    message = None if view is not None else _seen(hub, user, where)
    blocks = view["blocks"] if view is not None else _shown(message, stale)
    block, element = _pressed(blocks, where, action_id, value, block_id)
    action = chosen(block, element, value, hub.workspace.new_ts())
    trigger = hub.tickets.trigger(user, view["id"] if view else "")
    if view is not None:
        body = payloads.block_actions(person, trigger, action, view=snapshot(view))
        delivery = Delivery("interactive", body, user=user, trigger_id=trigger)
        return await hub.courier.deliver(delivery)
    assert message is not None
    room = hub.workspace.channel(message.channel)
    url = hub.response_url(user, room.id, message.ts, bool(message.only_for), message.thread_ts)
    body = payloads.block_actions(
        person, trigger, action, message=message, channel=room, response_url=url
    )
    delivery = Delivery(
        "interactive",
        body,
        user=user,
        channel=room.id,
        trigger_id=trigger,
        response_url=url,
    )
    await hub.courier.deliver(delivery)
    if not delivery.acked:
        hub.workspace.tell_privately(user, room.id, "This app did not answer. Try again?")
    return delivery


async def press(hub: Hub, user: str, value: str, channel: str) -> Delivery:
    """Press a button of the app that holds this value, in a channel or else in App Home."""
    person, action = hub.person(user), {
        "type": "button", "action_id": "say:it", "block_id": "it", "value": value,
        "action_ts": hub.workspace.new_ts(),
    }  # fmt: skip
    trigger = hub.tickets.trigger(user)
    if channel:
        room = hub.workspace.channel(channel)
        card = Message(channel, hub.workspace.new_ts(), BOT_USER, bot_id=BOT)
        url = hub.response_url(user, channel, card.ts, False, "")
        body = payloads.block_actions(
            person, trigger, action, message=card, channel=room, response_url=url
        )
    else:
        view = {"id": "V0HOME", "type": "home", "callback_id": "", "blocks": []}
        body = payloads.block_actions(person, trigger, action, view=view)
    return await hub.courier.deliver(
        Delivery("interactive", body, user=user, channel=channel, trigger_id=trigger)
    )


async def open_home(hub: Hub, user: str) -> Delivery | None:
    """Look at the app's home tab."""
    if "app_home_opened" not in hub.workspace.events:
        return None
    room = hub.workspace.dm(user)
    body: Json = {
        "type": "app_home_opened",
        "user": user,
        "channel": room.id,
        "tab": "home",
        "event_ts": hub.workspace.new_ts(),
    }
    if user in hub.views.homes:
        body["view"] = snapshot(hub.views.homes[user])
    return await hub.courier.deliver(
        Delivery("events_api", payloads.event(body, room), user=user, channel=room.id)
    )


def _is_known(hub: Hub, name: str) -> bool:
    return any(command["command"] == name for command in hub.workspace.commands)


def _shown(message: Message | None, stale: bool) -> list[Json]:
    if message is None:
        return []
    earlier = [block for edit in reversed(message.edits) for block in edit.blocks]
    return message.blocks + (earlier if stale else [])


def _show_answer(hub: Hub, delivery: Delivery, where: str, url: ResponseUrl) -> None:
    answer = delivery.answer or {}
    try:
        chat.respond(hub, url, answer, where, "ack")
    except SlackError as error:
        refuse(hub.workspace, where, error, answer)
        hub.workspace.tell_privately(
            url.user, url.channel, f"{delivery.payload['command']} failed: {error.error}"
        )


def _pressed(
    blocks: list[Json], where: str, action_id: str, value: Any, block_id: str
) -> tuple[Json, Json]:
    there = [(block, element) for block in blocks for element in elements_of(block)]
    fitting = [
        (block, element)
        for block, element in there
        if element.get("action_id") == action_id and block_id in ("", block["block_id"])
    ]
    if len(fitting) > 1 and value is not None:
        fitting = [pair for pair in fitting if pair[1].get("value") == value] or fitting
    if not fitting:
        known = ", ".join(sorted({str(element.get("action_id")) for _, element in there}))
        raise LookupError(f"no {action_id!r} to press in {where}: there is {known or 'nothing'}")
    return fitting[0]


def _seen(hub: Hub, user: str, ts: str) -> Message:
    """A message by its ts, if this person can see it."""
    for message in hub.workspace.private:
        if message.ts == ts and message.only_for == user:
            return message
    for channel in hub.workspace.channels.values():
        found = hub.workspace.find(channel.id, ts)
        if found is not None and not (channel.dm_with and channel.dm_with != user):
            return found
    raise LookupError(f"{user} sees no message {ts}")
