"""The instances of an environment without boto3: for `inventory/ec2.py`, which is always new.

boto3 needs half a second before its first question, and its parser half a millisecond an instance.
Here the question is signed and sent by hand, and the answer is read as it comes. Credentials that
are not in the environment (profiles, SSO, roles) are botocore's affair, as is its own config file.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from bot.adapters.aws.errors import THROTTLED, explain
from bot.adapters.aws.reader import Page, read_error, read_page
from bot.adapters.aws.records import Instance, in_order
from bot.counts import COUNTS

ATTEMPTS = 5
PAGE = 1000  # the most that EC2 gives at once
TIMEOUT = 30  # seconds


@dataclass(frozen=True)
class Access:
    """With what to ask, and whom."""

    key: str
    secret: str
    token: str
    endpoint: str
    region: str
    authorities: str = ""  # a file of certificates, where the system's are not enough


def instances(
    environment: str, region: str, sleep: Callable[[float], None] = time.sleep
) -> tuple[Instance, ...]:
    """Return the running instances of an environment that carry a Name and a Type."""
    doing = f"asking AWS for the instances of {environment}"
    access = _access(doing, region)
    question = {
        "Action": "DescribeInstances",
        "Version": "2016-11-15",
        "Filter.1.Name": "tag:Env",
        "Filter.1.Value.1": environment,
        "Filter.2.Name": "instance-state-name",
        "Filter.2.Value.1": "running",
        "MaxResults": str(PAGE),
    }
    found: list[Instance] = []
    while True:
        page = _ask(doing, access, question, sleep)
        found += page.instances
        if not page.next:
            return in_order(i for i in found if i.name and i.type and i.address)
        question["NextToken"] = page.next


def _ask(
    doing: str, access: Access, question: Mapping[str, str], sleep: Callable[[float], None]
) -> Page:
    """Ask for one page; what may pass by itself is asked again, after growing pauses."""
    body = urllib.parse.urlencode(question).encode()
    context = ssl.create_default_context(cafile=access.authorities) if access.authorities else None
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(0.2 * 2**attempt)
        request = urllib.request.Request(  # noqa: S310 - an http(s) address, see _access
            access.endpoint, data=body, headers=_signed(access, body), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:  # noqa: S310
                return read_page(answer.read())
        except urllib.error.HTTPError as error:
            code, message = read_error(error.read())
            code = code or str(error.code)
            passing = error.code >= 500 or code in THROTTLED
        except (OSError, expat.ExpatError) as error:
            code, message, passing = "HTTPClientError", str(getattr(error, "reason", error)), True
        if not passing:
            break
    COUNTS.aws_error("ec2", code)
    raise explain(doing, code, message, action="ec2:DescribeInstances").error


def _signed(access: Access, body: bytes) -> dict[str, str]:
    """Return the headers of a request, signed by AWS Signature Version 4."""
    now = datetime.datetime.now(datetime.UTC)
    at, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    where = urllib.parse.urlsplit(access.endpoint)
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": where.netloc.rpartition("@")[2],
        "x-amz-date": at,
    }
    if access.token:
        headers["x-amz-security-token"] = access.token
    names = ";".join(headers)
    canonical = "\n".join(
        (
            "POST",
            where.path or "/",
            "",
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{access.region}/ec2/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{access.secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access.key}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers


def _access(doing: str, region: str) -> Access:
    """Return the environment's credentials and endpoint, or what botocore finds elsewhere."""
    env = os.environ
    key, secret = env.get("AWS_ACCESS_KEY_ID", ""), env.get("AWS_SECRET_ACCESS_KEY", "")
    if not (key and secret) or _needs_botocore(env, region):
        return _by_botocore(doing, region)
    endpoint = ""
    if env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        endpoint = env.get("AWS_ENDPOINT_URL_EC2") or env.get("AWS_ENDPOINT_URL") or ""
    return Access(
        key,
        secret,
        token=env.get("AWS_SESSION_TOKEN") or env.get("AWS_SECURITY_TOKEN") or "",
        endpoint=endpoint or f"https://ec2.{region}.amazonaws.com/",
        region=region,
        authorities=env.get("AWS_CA_BUNDLE", ""),
    )


def _needs_botocore(env: Mapping[str, str], region: str) -> bool:
    """Is the address another than the environment and the region say?"""
    if region.startswith(("cn-", "us-iso", "eu-iso", "eusc-")):  # other partitions, other domains
        return True
    if {"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"} & env.keys():
        return True
    try:
        file = Path(env.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser().read_text()
    except (OSError, RuntimeError):
        return False
    return any(word in file for word in ("endpoint", "ca_bundle"))


def _by_botocore(doing: str, region: str) -> Access:
    import botocore.session
    from botocore.exceptions import BotoCoreError

    try:
        session = botocore.session.Session()
        found = session.get_credentials()
        if found is None:
            raise explain(doing, "NoCredentialsError", "").error
        has = found.get_frozen_credentials()
        endpoint = session.create_client("ec2", region_name=region).meta.endpoint_url
        authorities = session.get_config_variable("ca_bundle") or ""
    except BotoCoreError as error:
        raise explain(doing, type(error).__name__, str(error), region=region).error from None
    return Access(has.access_key, has.secret_key, has.token or "", endpoint, region, authorities)
