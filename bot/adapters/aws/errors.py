"""What AWS answers when it does not do what was asked, in our own words."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import BotError, Failed, Refused

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNKNOWN = {
    "AuthFailure",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
}
MISSING = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
STALE = {"TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "SlowDown",
}
AILING = {  # AWS's own trouble: whether it was done is open
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "Unavailable",
    "500",
    "502",
    "503",
    "504",
}
UNREACHED = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ProxyConnectionError",
    "SSLError",
    "HTTPClientError",
}
RENEW = "renew them and say it again; try them with: aws sts get-caller-identity"


class Passing(Failed):
    """Trouble of AWS, or of the way there, that passes. Waits go on, anything else ends."""


class Throttled(Passing):
    """AWS asks us to slow down."""


class Late(Failed):
    """What was waited for did not come in time."""


class Answered(Failed):
    """Any other refusal of AWS; `code` is AWS's own name of it."""

    def __init__(self, text: str, hint: str = "", code: str = "") -> None:
        super().__init__(text, hint)
        self.code = code


class Ailing(Answered, Passing):
    """AWS's own trouble."""


@dataclass(frozen=True)
class Told:
    """An error for people; `credentials` says that what we signed with is no good.

    `expired`: it was good, and whoever gives it to us may have a new one at once.
    """

    error: BotError
    credentials: bool = False
    expired: bool = False


def explain(doing: str, code: str, message: str, *, action: str = "", region: str = "") -> Told:
    """Return what to raise for an error code of AWS, or the name of an error of botocore.

    Whoever AWS turns away at the door is Refused: that call changed nothing.
    """
    if code in EXPIRED | STALE:
        return Told(Refused(f"{doing}: the AWS credentials have expired", RENEW), True, True)
    if code in MISSING:
        return Told(
            Refused(
                f"{doing}: there are no AWS credentials here",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or an instance role",
            ),
            True,
        )
    if code in UNKNOWN:
        return Told(Refused(f"{doing}: AWS does not know these credentials ({code})", RENEW), True)
    if code in DENIED:
        return Told(
            Refused(
                f"{doing}: AWS does not allow {action or 'this'} to these credentials",
                "ask whoever keeps the AWS account to add it to Packlead's policy",
            )
        )
    if code in THROTTLED:
        return Told(
            Throttled(
                f"{doing}: AWS asks to slow down ({code})",
                "the account's request limit is used up; say it again in a minute",
            )
        )
    if code in UNREACHED:
        return Told(
            Passing(
                f"{doing}: AWS cannot be reached ({_short(message)})",
                f"look at the network, AWS_ENDPOINT_URL and aws.region ({region})"
                if region
                else "look at the network and AWS_ENDPOINT_URL",
            )
        )
    if code in {"ProfileNotFound", "InvalidRegionError", "InvalidConfigError", "ConfigParseError"}:
        return Told(
            Refused(f"{doing}: {_short(message)}", "look at AWS_PROFILE and ~/.aws/config"), True
        )
    kind = Ailing if code in AILING else Answered
    return Told(kind(f"{doing}: AWS says {code}: {_short(message)}", code=code))


def _short(message: str) -> str:
    return " ".join(message.split()).rstrip(".")[:300]
