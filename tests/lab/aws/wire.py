"""What goes over the wire: requests and their action, answers, errors in each protocol's shape.

EC2 and both ELB APIs speak the query protocol (a form with `Action`, XML back); SSM and others
speak JSON and name their action in a header.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
ELB = "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/"
ELBV2 = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
VERSIONS = {"ec2": "2016-11-15", "elb": "2012-06-01", "elbv2": "2015-12-01"}
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/([^/]*)/")
FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One call of an AWS API."""

    service: str  # ec2, elb, elbv2, ssm …
    action: str
    params: dict[str, str]
    method: str = "POST"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    key: str = ""  # the access key that signed it

    def changed(self, params: Mapping[str, str]) -> Request:
        """The same call with other parameters (query protocol only)."""
        body = urlencode(params).encode()
        return replace(self, params=dict(params), body=body)

    def listed(self, name: str, key: str = "") -> list[str]:
        """The values of a list, in order: `InstanceId` or `Targets.member` with the key `Id`."""
        pattern = re.compile(re.escape(name) + r"\.(\d+)" + (re.escape("." + key) if key else ""))
        found = {int(m[1]): v for k, v in self.params.items() if (m := pattern.fullmatch(k))}
        return [found[number] for number in sorted(found)]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=(("Content-Type", "text/xml"),))

    @property
    def ok(self) -> bool:
        return self.status < 400

    def tree(self) -> ElementTree.Element:
        """The XML, with the namespaces taken off the tags."""
        tree = ElementTree.fromstring(self.body)
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]
        return tree


class Refusal(Exception):
    """AWS says no; it becomes an answer at the door of the proxy."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status

    def answer(self, request: Request) -> Answer:
        return refused(request, self.code, self.message, self.status)


def read(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    """Tell service, action and parameters from an HTTP request."""
    headers = tuple(headers)
    named = {k.lower(): v for k, v in headers}
    found = CREDENTIAL.search(named.get("authorization", ""))
    key, service = (found[1], found[3]) if found else ("", "")
    target = named.get("x-amz-target", "")
    params: dict[str, str] = {}
    if target:
        action = target.rpartition(".")[2]
        params = dict(_texts(body))
    else:
        if "urlencoded" in named.get("content-type", ""):
            params = dict(parse_qsl(body.decode(), keep_blank_values=True))
        params = {**dict(parse_qsl(path.partition("?")[2], keep_blank_values=True)), **params}
        action = params.get("Action", "") or f"{method} {path.partition('?')[0]}"
    if service == "elasticloadbalancing":
        service = "elb" if params.get("Version") == VERSIONS["elb"] else "elbv2"
    return Request(service, action, params, method, path, headers, body, key)


def ours(service: str, action: str, params: Mapping[str, str]) -> Request:
    """A call that the lab itself makes."""
    params = {"Action": action, "Version": VERSIONS[service], **params}
    scope = service if service == "ec2" else "elasticloadbalancing"
    credential = f"AWS4-HMAC-SHA256 Credential=LAB/20260101/us-east-1/{scope}/aws4_request, x"
    headers = (("Content-Type", FORM), ("Authorization", credential), ("Host", "lab"))
    body = urlencode(params).encode()
    return Request(service, action, params, "POST", "/", headers, body, "LAB")


def refused(request: Request, code: str, message: str, status: int = 400) -> Answer:
    """An error as the service of this request would tell it."""
    number = str(uuid.uuid4())
    if request.service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message>"
            f"</Error></Errors><RequestID>{number}</RequestID></Response>"
        )
        return Answer(status, body.encode())
    if any(k.lower() == "x-amz-target" for k, _ in request.headers):
        text = json.dumps({"__type": code, "message": message})
        return Answer(status, text.encode(), (("Content-Type", "application/x-amz-json-1.1"),))
    kind = "Sender" if status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code>"
        f"<Message>{escape(message)}</Message></Error><RequestId>{number}</RequestId>"
        "</ErrorResponse>"
    )
    return Answer(status, body.encode())


def told(action: str, namespace: str, inner: str) -> Answer:
    """An answer of the query protocol, as both ELB APIs give it."""
    body = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{inner}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )
    return Answer(200, body.encode())


def xml(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>" if text else ""


def numbered(prefix: str, values: Iterable[str]) -> dict[str, str]:
    """`InstanceId.1`, `InstanceId.2` …"""
    return {f"{prefix}.{number}": value for number, value in enumerate(values, 1)}


def error_code(answer: Answer) -> str:
    """The code of an error answer, in any of the shapes; empty where there is none."""
    found = re.search(rb'<Code>([^<]+)</Code>|"__type":\s*"(?:[^"#]*#)?([^"]+)"', answer.body)
    return (found[1] or found[2]).decode() if found else ""


def _texts(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return
    for key, value in data.items() if isinstance(data, dict) else ():
        yield key, value if isinstance(value, str) else json.dumps(value)
