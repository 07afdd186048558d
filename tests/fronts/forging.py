"""Requests that somebody forged, replayed or mangled, in twelve classes for each way in; seeded.

Each carries MARK somewhere that only its body or a header holds: where it turns up, something that
nobody had signed was written down.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from bot.fronts.deploys import Ticket, sealed

MARK = "forgedmarkforged"
FORM = "application/x-www-form-urlencoded"
OLD, NEW = "a" * 40, "b" * 40
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Sent:
    """One request as it goes over the wire; headers may come twice, and hold any byte."""

    kind: str
    path: str
    headers: Headers
    body: bytes = b""

    def but(self, kind: str, body: bytes | None = None, **headers: object) -> Sent:
        """Return it with another body, or other headers (with _ for -; None: without it)."""
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        kept = [(n, v) for n, v in self.headers if n.lower() not in given]
        for name, value in given.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    kept.append((name, one if isinstance(one, bytes) else str(one).encode()))
        return replace(
            self, kind=kind, headers=tuple(kept), body=self.body if body is None else body
        )

    def header(self, name: str) -> str:
        return next(v for n, v in self.headers if n.lower() == name.lower()).decode()


class Wire:
    """One connection to a front, made again whenever the front has closed it."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self.address, timeout=60)

    def send(self, sent: Sent) -> int:
        """Return the status that was answered; 0: the connection was closed without one."""
        for _ in range(2):
            try:
                return self._send(sent)
            except (http.client.HTTPException, OSError):
                self._connection.close()  # kept alive too long, or cut off: once more, afresh
        return 0

    def _send(self, sent: Sent) -> int:
        connection = self._connection
        connection.putrequest("POST", sent.path)
        for name, value in sent.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(sent.body)))
        connection.endheaders(sent.body)
        with connection.getresponse() as answer:
            answer.read()
            if answer.will_close:
                connection.close()
            return answer.status

    def close(self) -> None:
        self._connection.close()


def odd(chance: random.Random, good: str) -> bytes | list[bytes]:
    """Return a header that no honest client sends."""
    raw = good.encode()
    at = chance.randrange(len(raw))
    return chance.choice(
        [
            raw[:at] + bytes([chance.randrange(128, 256)]) + raw[at + 1 :],
            raw[:-1] + "é".encode(),
            raw[:at] + "١".encode() + raw[at + 1 :],
            raw + b"\x00",
            raw + b"x" * chance.choice([1, 100, 4000]),
            raw + b"x" * 20_000,  # more than a server takes in one header
            raw[::-1],
            b"\xff\xfe" * 40,
            [b"", raw],
            [raw[:-1], raw],
        ]
    )


def cut(chance: random.Random, text: str) -> str:
    return text[: chance.randrange(1, len(text))]


# -- Slack ---------------------------------------------------------------------------------------


class Slack:
    """Signed HTTP, as Slack sends it."""

    replayed = 401  # the answer to what was here before, byte for byte

    path = "/slack/events"

    def __init__(self, secret: str, seed: int) -> None:
        self.secret, self.chance = secret, random.Random(seed)

    def signed(
        self, body: bytes, stamp: str = "", secret: str = "", kind: str = "good", form: str = FORM
    ) -> Sent:
        stamp = stamp or str(int(time.time()))
        base = b"v0:" + stamp.encode() + b":" + body
        mac = hmac.new((secret or self.secret).encode(), base, hashlib.sha256).hexdigest()
        headers = (
            ("content-type", form.encode()),
            ("x-slack-request-timestamp", stamp.encode()),
            ("x-slack-signature", f"v0={mac}".encode()),
        )
        return Sent(kind, self.path, headers, body)

    def body(self) -> tuple[bytes, str]:
        """Return what would be done, if only it were signed: a command, a button, a mention."""
        number = self.chance.getrandbits(48)
        user = {"id": "U0ADA", "team_id": "T0LAB"}
        command = {
            "command": "/deploy", "text": f"prod {MARK}", "user_id": "U0ADA", "team_id": "T0LAB",
            "channel_id": "C0PROD", "trigger_id": f"{number}.1.x", "response_url": "",
        }  # fmt: skip
        press = {
            "type": "block_actions", "user": user, "team": {"id": "T0LAB"}, "trigger_id": "1.2.x",
            "container": {"channel_id": "C0PROD", "message_ts": f"{number}.1"},
            "channel": {"id": "C0PROD"},
            "actions": [{
                "type": "button", "action_id": "say:deploy", "value": f"deploy prod {MARK}",
                "block_id": "b", "action_ts": f"{number}.2",
            }],
        }  # fmt: skip
        said = {
            "type": "event_callback", "team_id": "T0LAB", "event_id": f"Ev{number}",
            "event": {
                "type": "app_mention", "user": "U0ADA", "team": "T0LAB", "channel": "C0PROD",
                "text": f"<@U0PACKLEAD> deploy prod {MARK}", "ts": f"{number}.3",
            },
        }  # fmt: skip
        return self.chance.choice(
            [
                (urlencode(command).encode(), FORM),
                (urlencode({"payload": json.dumps(press)}).encode(), FORM),
                (json.dumps(said).encode(), "application/json"),
            ]
        )

    def good(self) -> Sent:
        body, form = self.body()
        return self.signed(body, form=form)

    def again(self, good: Sent) -> Sent:
        """Replay it as if Slack itself tried once more: that header is not signed."""
        return good.but("replayed", x_slack_retry_num=1, x_slack_retry_reason="http_timeout")

    def forged(self, each: int) -> Iterator[Sent]:
        """Yield `each` of every class but the replays."""
        for make in (
            self.unsigned, self.empty, self.other_secret, self.other_version, self.truncated,
            self.other_body, self.old, self.young, self.timeless, self.encoded, self.strange,
        ):  # fmt: skip
            for _ in range(each):
                yield make()

    def unsigned(self) -> Sent:
        gone = self.chance.choice([(1, 0), (0, 1), (1, 1)])
        names = ("x_slack_signature", "x_slack_request_timestamp")
        without = dict.fromkeys(n for n, g in zip(names, gone, strict=True) if g)
        return self.good().but("no signature", **without)

    def empty(self) -> Sent:
        return self.good().but(
            "empty signature", x_slack_signature=self.chance.choice(["", "v0=", " ", "v0= "])
        )

    def other_secret(self) -> Sent:
        body, form = self.body()
        near = self.secret[:-1] + chr(ord(self.secret[-1]) ^ 1)
        secret = self.chance.choice([near, self.secret[:-1], self.secret + " ", "x", "0" * 32])
        return self.signed(body, secret=secret, kind="wrong secret", form=form)

    def other_version(self) -> Sent:
        good = self.good()
        mac = good.header("x-slack-signature")[3:]
        start = self.chance.choice(["v1=", "V0=", "v0:", "v00=", "sha256=", "", "v0==", "=v0="])
        return good.but("wrong version", x_slack_signature=start + mac)

    def truncated(self) -> Sent:
        good = self.good()
        if self.chance.random() < 0.5:
            return good.but("truncated", body=good.body[: self.chance.randrange(len(good.body))])
        return good.but(
            "truncated", x_slack_signature=cut(self.chance, good.header("x-slack-signature"))
        )

    def other_body(self) -> Sent:
        return self.good().but("of another body", body=self.body()[0] + b"&x=1")

    def old(self) -> Sent:
        body, form = self.body()
        ago = self.chance.choice([302, 303, 400, 3600, 86400, 10**7])
        stamp = str(int(time.time()) - ago)
        return self.signed(body, stamp, kind="old", form=form)

    def young(self) -> Sent:
        body, form = self.body()
        ahead = self.chance.choice([330, 400, 3600, 86400, 10**9])
        stamp = str(int(time.time()) + ahead)
        return self.signed(body, stamp, kind="in the future", form=form)

    def timeless(self) -> Sent:
        body, form = self.body()
        now = str(int(time.time()))
        stamp = self.chance.choice(
            ["abc", "nan", "inf", "-1", now + ".5", "+" + now[1:], hex(int(now)), now + "000",
             "9" * 400, "0" * 10, now[:-1], "١" * 10, now[:5] + "_" + now[6:], "1e9"]
        )  # fmt: skip
        return self.signed(body, stamp, kind="no time", form=form)

    def encoded(self) -> Sent:
        """The same to whoever parses it, and not the same bytes; or with one field twice."""
        good = self.good()
        text = good.body.decode()
        if text.startswith("{"):
            told = json.loads(text)
            other = self.chance.choice(
                [json.dumps(told, indent=1), text + " ", text.replace(": ", ":"),
                 text[:-1] + ', "team_id": "T0LAB"}', "\ufeff" + text]
            )  # fmt: skip
        else:
            pairs = parse_qsl(text, keep_blank_values=True)
            again = urlencode([*pairs, pairs[0]])
            other = self.chance.choice(
                [again, text + "&", "&" + text, urlencode(pairs, quote_via=quote) + "&x=1",
                 text.replace("%", "%25"), text.replace("=", "%3D", 1)]
            )  # fmt: skip
        return good.but("encoded anew", body=other.encode())

    def strange(self) -> Sent:
        good = self.good()
        name = self.chance.choice(["x-slack-signature", "x-slack-request-timestamp"])
        return good.but(
            "strange headers", **{name.replace("-", "_"): odd(self.chance, good.header(name))}
        )


# -- GitHub --------------------------------------------------------------------------------------


class GitHub:
    """Webhooks, as GitHub sends them. There is no time in their signature, and no delivery."""

    replayed = 200

    path = "/webhooks/github"

    def __init__(self, secret: str, seed: int) -> None:
        self.secret, self.chance = secret, random.Random(seed)

    def payload(self, **more: object) -> dict[str, object]:
        after = f"{self.chance.getrandbits(160):040x}"
        told: dict[str, object] = {
            "ref": "refs/heads/master", "before": OLD, "after": after, "deleted": False,
            "repository": {"full_name": "lab/kennel"}, "sender": {"login": "ada", "id": 77},
            "head_commit": {"message": MARK},
        }  # fmt: skip
        return told | more

    def signed(self, body: bytes, secret: str = "", kind: str = "good") -> Sent:
        headers = (
            ("content-type", b"application/json"),
            ("x-github-event", b"push"),
            ("x-github-delivery", f"{self.chance.getrandbits(128):032x}".encode()),
            ("x-hub-signature-256", self.mac(body, secret).encode()),
        )
        return Sent(kind, self.path, headers, body)

    def mac(self, body: bytes, secret: str = "", how: str = "sha256") -> str:
        key = (secret or self.secret).encode()
        return f"{how}={hmac.new(key, body, how).hexdigest()}"

    def good(self, **more: object) -> Sent:
        return self.signed(json.dumps(self.payload(**more)).encode())

    def again(self, good: Sent) -> Sent:
        """Replay it as another delivery: that header is not signed."""
        return good.but("replayed", x_github_delivery=f"{self.chance.getrandbits(128):032x}")

    def forged(self, each: int) -> Iterator[Sent]:
        for make in (
            self.unsigned, self.empty, self.other_secret, self.other_kind, self.truncated,
            self.other_body, self.sha1, self.elsewhere, self.senseless, self.encoded, self.strange,
        ):  # fmt: skip
            for _ in range(each):
                yield make()

    def unsigned(self) -> Sent:
        return self.good().but("no signature", x_hub_signature_256=None)

    def empty(self) -> Sent:
        given = self.chance.choice(["", "sha256=", " ", "sha256= "])
        return self.good().but("empty signature", x_hub_signature_256=given)

    def other_secret(self) -> Sent:
        body = json.dumps(self.payload()).encode()
        near = self.secret[:-1] + chr(ord(self.secret[-1]) ^ 1)
        secret = self.chance.choice([near, self.secret[:-1], self.secret + "\n", "x", "secret"])
        return self.signed(body, secret, "wrong secret")

    def other_kind(self) -> Sent:
        good = self.good()
        mac = good.header("x-hub-signature-256")[7:]
        start = self.chance.choice(
            ["SHA256=", "sha1=", "sha512=", "", "v0=", "sha256==", "sha256:"]
        )
        return good.but("wrong kind", x_hub_signature_256=start + mac)

    def truncated(self) -> Sent:
        good = self.good()
        if self.chance.random() < 0.5:
            return good.but("truncated", body=good.body[: self.chance.randrange(len(good.body))])
        name = "x-hub-signature-256"
        return good.but("truncated", x_hub_signature_256=cut(self.chance, good.header(name)))

    def other_body(self) -> Sent:
        body = json.dumps(self.payload()).encode()
        return self.good().but("of another body", body=body)

    def sha1(self) -> Sent:
        good = self.good()
        mac = self.mac(good.body, how="sha1")
        given = self.chance.choice([None, "", mac])
        return good.but("by SHA-1 alone", x_hub_signature_256=given, x_hub_signature=mac)

    def elsewhere(self) -> Sent:
        """Signed, and of another repository, or of no branch that anybody waits for."""
        made = self.good(
            **self.chance.choice(
                [
                    {"repository": {"full_name": "eve/kennel"}},
                    {"repository": {"full_name": "lab/kennel/"}},
                    {"ref": "refs/tags/master"},
                    {"ref": "refs/heads/feature"},
                    {"ref": "refs/heads/Master"},
                    {"ref": "refs/pull/7/merge"},
                    {"deleted": True},
                    {"after": "0" * 40},
                ]
            )
        )
        return replace(made, kind="of another place")

    def senseless(self) -> Sent:
        """Signed, and no push at all."""
        told = [
            b"", b"[]", b"null", b"7", b"{", b'{"ref": 7}', b"\xff\xfe", b"[" * 100_000,
            b'{"a":' * 50_000, json.dumps(self.payload(repository=[])).encode(),
            json.dumps(self.payload(before="x" * 40)).encode(),
            json.dumps(self.payload(after=None)).encode(),
            json.dumps(self.payload(ref="refs/heads/\ud800")).encode(),
            json.dumps(self.payload(repository={"full_name": None})).encode(),
            json.dumps({"ref": "refs/heads/master"} | {"repository": "x" * 10_000}).encode(),
        ]  # fmt: skip
        return self.signed(self.chance.choice(told), kind="no sense")

    def encoded(self) -> Sent:
        good = self.good()
        told = json.loads(good.body)
        text = good.body.decode()
        other = self.chance.choice(
            [json.dumps(told, indent=1), text + "\n", text.replace(": ", ":"),
             text[:-1] + ', "ref": "refs/heads/master"}', urlencode({"payload": text}),
             "\ufeff" + text]
        )  # fmt: skip
        return good.but("encoded anew", body=other.encode())

    def strange(self) -> Sent:
        """A signature that is none, or a good one of something that is no push by its headers."""
        if self.chance.random() < 0.5:
            good = self.good()
            name = "x-hub-signature-256"
            return good.but(
                "strange headers", x_hub_signature_256=odd(self.chance, good.header(name))
            )
        given = odd(self.chance, "push")
        if given == [b"", b"push"]:
            given = b"pushed"
        return self.good().but("strange headers", x_github_event=given)


# -- tokens --------------------------------------------------------------------------------------


class Tokens:
    """Tokens for POST /deploys."""

    replayed = 200

    path = "/deploys"

    def __init__(self, secret: str, seed: int) -> None:
        self.secret, self.chance = secret, random.Random(seed)

    def ticket(self, **more: object) -> Ticket:
        nonce = f"{self.chance.getrandbits(128):032x}"
        told = Ticket("puppystream", "ada", time.time() + 600, nonce, "master")
        return replace(told, **more)

    def sent(self, token: str, kind: str = "good") -> Sent:
        return Sent(kind, self.path, (("authorization", f"Bearer {token}".encode()),))

    def good(self, **more: object) -> Sent:
        return self.sent(sealed(self.secret, self.ticket(**more)))

    def again(self, good: Sent) -> Sent:
        """Replay it with a body, which is not signed and never read."""
        return good.but("replayed", body=b'{"environment": "prod"}')

    def forged(self, each: int) -> Iterator[Sent]:
        for make in (
            self.unsigned, self.empty, self.other_secret, self.other_scheme, self.truncated,
            self.other_content, self.old, self.young, self.timeless, self.encoded, self.strange,
        ):  # fmt: skip
            for _ in range(each):
                yield make()

    def token(self) -> tuple[str, str]:
        content, _, mac = sealed(self.secret, self.ticket()).partition(".")
        return content, mac

    def of(self, content: str) -> str:
        """Return a token whose content nobody would write, and that is well signed."""
        text = base64.urlsafe_b64encode(content.encode(errors="surrogatepass")).decode().rstrip("=")
        return f"{text}.{hmac.new(self.secret.encode(), text.encode(), 'sha256').hexdigest()}"

    def unsigned(self) -> Sent:
        sent = self.good().but("no signature", authorization=None)
        return sent if self.chance.random() < 0.5 else self.sent(self.token()[0], "no signature")

    def empty(self) -> Sent:
        content, mac = self.token()
        told = self.chance.choice(["", ".", f"{content}.", f".{mac}", "null.null"])
        return self.sent(told, "empty signature")

    def other_secret(self) -> Sent:
        secret = self.chance.choice([self.secret[:-1], self.secret + "x", "x" * 32])
        return self.sent(sealed(secret, self.ticket()), "wrong secret")

    def other_scheme(self) -> Sent:
        content, mac = self.token()
        scheme = self.chance.choice(
            ["bearer", "Basic", "Token", "Bearer  ", "BEARER", "Bearer:", ""]
        )
        return self.good().but("wrong scheme", authorization=f"{scheme} {content}.{mac}")

    def truncated(self) -> Sent:
        content, mac = self.token()
        whole = f"{content}.{mac}"
        return self.sent(whole[: self.chance.randrange(1, len(whole))], "truncated")

    def other_content(self) -> Sent:
        return self.sent(f"{self.token()[0]}.{self.token()[1]}", "of another content")

    def old(self) -> Sent:
        ago = self.chance.choice([1, 60, 3600, 10**6, time.time()])
        made = self.good(expires=time.time() - ago)
        return replace(made, kind="old")

    def young(self) -> Sent:
        ahead = self.chance.choice([86500, 10**6, 10**9, 10**300])
        return replace(self.good(expires=time.time() + ahead), kind="in the future")

    def timeless(self) -> Sent:
        """Signed, and its time is none, or it is no ticket at all."""
        whole = '{"environment": "puppystream", "person": "ada", "nonce": "' + "n" * 16 + '"'
        told = [
            f'{whole}, "ref": "master", "expires": {e}}}'
            for e in ("NaN", "Infinity", '"soon"', "true", "null", "[]", "{}", "1" * 400, '"1e9"')
        ]
        told += ["", "[]", "7", "{", "[" * 1400, f"{whole}}}", '{"environment": 7}']
        return self.sent(self.of(self.chance.choice(told)), "no time")

    def encoded(self) -> Sent:
        content, mac = self.token()
        told = self.chance.choice(
            [f"{content}=.{mac}", f"{content}%3D.{mac}", f"{content}.{mac.upper()}",
             f"{content}\n.{mac}".replace("\n", "%0A"), f"{content}.{mac}.{mac}",
             f"{content[:-2]}.{mac}", f"A{content}.{mac}"]
        )  # fmt: skip
        return self.sent(told, "encoded anew")

    def strange(self) -> Sent:
        good = self.good()
        given = odd(self.chance, good.header("authorization"))
        return good.but("strange headers", authorization=given)
