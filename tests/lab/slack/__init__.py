"""Slack on one machine: Web API, Socket Mode, signed HTTP and a page, as strict as Slack itself."""

from tests.lab.slack.records import Button, Call, Delivery, Edit, Mention, Message, Refusal
from tests.lab.slack.slack import Slack
from tests.lab.slack.validate import (
    validate_home,
    validate_manifest,
    validate_message,
    validate_modal,
)

__all__ = [
    "Button",
    "Call",
    "Delivery",
    "Edit",
    "Mention",
    "Message",
    "Refusal",
    "Slack",
    "validate_home",
    "validate_manifest",
    "validate_message",
    "validate_modal",
]
