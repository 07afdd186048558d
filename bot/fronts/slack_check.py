"""Whether Slack would let us in: the tokens, the team, and a socket or a signing secret."""

from __future__ import annotations

from collections.abc import Mapping

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.config import Config
from bot.errors import Misconfigured


def probe(config: Config, environ: Mapping[str, str]) -> str:
    """Return whom Slack takes us for; raises Misconfigured with what to set."""
    if config.slack is None:
        raise Misconfigured("the config has no [slack]", "add it, or work by packlead run alone")
    missing = [] if environ.get("SLACK_BOT_TOKEN") else ["SLACK_BOT_TOKEN"]
    if not (environ.get("SLACK_APP_TOKEN") or environ.get("SLACK_SIGNING_SECRET")):
        missing.append("SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (signed HTTP)")
    if missing:
        raise Misconfigured(f"not set: {', '.join(missing)}", "the Slack app's own pages show them")
    base = environ.get("SLACK_API_URL", WebClient.BASE_URL)
    try:
        me = WebClient(token=environ["SLACK_BOT_TOKEN"], base_url=base, timeout=10).auth_test()
        if app := environ.get("SLACK_APP_TOKEN"):
            WebClient(base_url=base, timeout=10).apps_connections_open(app_token=app)
    except SlackApiError as error:
        raise Misconfigured(f"{base} answers {error.response['error']}") from None
    except OSError as error:
        raise Misconfigured(f"{base} cannot be reached: {error}") from None
    if me["team_id"] != config.slack.team:
        raise Misconfigured(
            f"the token is of team {me['team_id']}, the config says {config.slack.team}",
            "correct slack.team",
        )
    way = "Socket Mode"
    if environ.get("SLACK_SIGNING_SECRET"):
        way = "signed HTTP"
        if environ.get("SLACK_APP_TOKEN"):
            way += "; SLACK_APP_TOKEN is not used where SLACK_SIGNING_SECRET is set"
    return f"{me['user']} of {me['team']} ({me['team_id']}), by {way}"
