"""The views.* methods: a trigger id opens one modal, once, within three seconds."""

from __future__ import annotations

import json

from tests.lab.slack import limits
from tests.lab.slack.checks import check_view
from tests.lab.slack.hub import Hub
from tests.lab.slack.records import Json, SlackError


def views_open(hub: Hub, args: Json) -> Json:
    check(hub, "views.open", args.get("view"), "modal")
    trigger = hub.tickets.exchange(str(args.get("trigger_id", "")))
    return _show(hub, hub.views.open(trigger.user, args["view"]))


def views_push(hub: Hub, args: Json) -> Json:
    check(hub, "views.push", args.get("view"), "modal")
    trigger = hub.tickets.exchange(str(args.get("trigger_id", "")))
    if not trigger.view:
        raise SlackError("invalid_trigger_id")
    return _show(hub, hub.views.push(trigger.user, args["view"]))


def views_update(hub: Hub, args: Json) -> Json:
    check(hub, "views.update", args.get("view"), "modal")
    view_id, external_id = str(args.get("view_id") or ""), str(args.get("external_id") or "")
    wanted = str(args.get("hash") or "")
    return _show(hub, hub.views.update(view_id, args["view"], wanted, external_id))


def views_publish(hub: Hub, args: Json) -> Json:
    check(hub, "views.publish", args.get("view"), "home")
    user = str(args.get("user_id", ""))
    if user not in hub.workspace.users:
        raise SlackError("user_not_found")
    return _show(hub, hub.views.publish(user, args["view"], str(args.get("hash") or "")))


def check(hub: Hub, where: str, view: object, kind: str) -> None:
    if not isinstance(view, dict) or view.get("type") != kind:
        raise SlackError("invalid_arguments")
    if len(json.dumps(view)) > limits.VIEW_BYTES:
        raise SlackError("view_too_large")
    check_view(hub.workspace, where, view)


def _show(hub: Hub, view: Json) -> Json:
    hub.workspace.changed()
    return {"view": dict(view)}
