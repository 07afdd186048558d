"""What all parts of the lab's Slack share."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lab.slack.courier import Courier
from tests.lab.slack.faults import Faults
from tests.lab.slack.people import User
from tests.lab.slack.rates import Rates
from tests.lab.slack.records import Json
from tests.lab.slack.sockets import Sockets
from tests.lab.slack.tickets import Tickets
from tests.lab.slack.views import Views
from tests.lab.slack.workspace import Workspace


@dataclass
class Hub:
    workspace: Workspace
    sockets: Sockets
    courier: Courier
    bot_token: str
    app_token: str
    tickets: Tickets = field(default_factory=Tickets)
    rates: Rates = field(default_factory=Rates)
    faults: Faults = field(default_factory=Faults)
    views: Views = field(default_factory=Views)
    uploads: dict[str, Json] = field(default_factory=dict)
    url: str = ""  # http://host:port, without a slash at the end
    edit_window: float | None = None  # seconds after which chat.update says edit_window_closed
    away: bool = False  # an outage: whatever the app asks is answered by 503

    def person(self, user: str) -> User:
        if user not in self.workspace.users:
            known = ", ".join(sorted(self.workspace.users))
            raise LookupError(f"nobody is {user}: there are {known}")
        return self.workspace.users[user]

    def response_url(
        self,
        user: str,
        channel: str,
        message_ts: str = "",
        ephemeral: bool = False,
        thread_ts: str = "",
    ) -> str:
        key = self.tickets.response_url(user, channel, message_ts, ephemeral, thread_ts)
        return f"{self.url}/actions/{key}"
