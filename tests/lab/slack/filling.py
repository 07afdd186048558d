"""Forms, as a person fills them in and Slack takes the answer."""

from __future__ import annotations

from typing import Any

from tests.lab.slack import payloads
from tests.lab.slack.checks import check_view, refuse
from tests.lab.slack.choices import state_values
from tests.lab.slack.hub import Hub
from tests.lab.slack.records import Delivery, Json, SlackError
from tests.lab.slack.views import snapshot

NO_ANSWER = {"": "We had some trouble connecting. Try again?"}


async def submit(hub: Hub, user: str, values: Json, view_id: str = "") -> Delivery:
    """Fill in the top form of a person and send it off. Mistakes Slack's own client finds raise.

    By its id it may be the form of somebody else, which only an attacker would find a way to send.
    """
    person = hub.person(user)
    stack = hub.views.stacks.get(user) or []
    view = next((view for view in stack[::-1] if not view_id or view["id"] == view_id), None)
    if view is None and view_id:
        view = hub.views.find(view_id)
    if view is None:
        raise LookupError(f"{user} has no form open {view_id}".rstrip())
    state = state_values(view["blocks"], values)
    view["state"] = {"values": state}
    view.pop("errors", None)
    trigger = hub.tickets.trigger(user, view["id"])
    body = payloads.view_submission(person, trigger, snapshot(view))
    delivery = await hub.courier.deliver(
        Delivery("interactive", body, user=user, trigger_id=trigger)
    )
    if not delivery.acked:
        view["errors"] = dict(NO_ANSWER)
    else:
        _after_submit(hub, user, view, delivery)
    hub.workspace.changed()
    return delivery


async def close(hub: Hub, user: str, view_id: str = "", everything: bool = False) -> None:
    person = hub.person(user)
    for view in hub.views.close(user, view_id, everything):
        if view["notify_on_close"]:
            body = payloads.view_closed(person, snapshot(view), everything)
            await hub.courier.deliver(Delivery("interactive", body, user=user))
    hub.workspace.changed()


def _after_submit(hub: Hub, user: str, view: Json, delivery: Delivery) -> None:
    answer = delivery.answer or {}
    action = answer.get("response_action")
    try:
        if action == "errors":
            view["errors"] = _errors(view, answer.get("errors"))
        elif action == "update":
            check_view(hub.workspace, "ack of view_submission", answer.get("view"))
            hub.views.update(view["id"], answer["view"])
        elif action == "push":
            check_view(hub.workspace, "ack of view_submission", answer.get("view"))
            hub.views.push(user, answer["view"])
        elif action == "clear":
            hub.views.close(user, everything=True)
        elif action is None:
            hub.views.close(user, view["id"])
        else:
            raise SlackError("invalid_arguments", errors=[f"unknown response_action {action}"])
    except SlackError as error:
        refuse(hub.workspace, "ack of view_submission", error, answer)
        view["errors"] = dict(NO_ANSWER)


def _errors(view: Json, errors: Any) -> Json:
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        raise SlackError("invalid_arguments", errors=["errors must name input blocks of the view"])
    return errors
