"""Keys as SecureStrings of SSM's Parameter Store: a version is told by its description.

PutParameter makes another version whenever it is called, so it is tried once, and what stands in
the history says whether it was done. A value with `{{` in it, which SSM would take for a reference,
is kept in base64. What a bot asked for that died before the answer, AWS may still do when the next
bot has looked and asked anew: no call can be tied to what stood there before it. The second version
of an operation is therefore told as its first one again.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from bot.adapters.aws.errors import Ailing, Answered
from bot.adapters.aws.records import Secret
from bot.adapters.aws.session import Session
from bot.errors import Failed

TRIES = 5
PAGE = 50  # the most that SSM gives at once
ADVANCED = 8192  # bytes


class Parameters(Session):
    """One key is one parameter, below its environment's path."""

    longest = ADVANCED

    def keys(self, path: str) -> tuple[Secret, ...]:
        """Return the newest version of every key below a path."""
        answer = self._all(
            f"asking SSM for the keys below {path}",
            "ssm",
            "describe_parameters",
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [path]}],
            PaginationConfig={"PageSize": PAGE},
        )
        return tuple(secret(row) for row in answer["Parameters"])

    def versions(self, path: str, name: str) -> tuple[Secret, ...]:
        """Return every version of a key that is kept, oldest first."""
        found: list[Secret] = []
        first: dict[str, Secret] = {}
        for made in map(secret, self._history(path, name)):
            same = first.setdefault(made.operation, made) if made.operation else made
            found.append(made if same is made else replace(made, again=same.root))
        return tuple(found)

    def value(self, path: str, name: str, version: int) -> str:
        """Return a value: for the hosts alone, and for nothing that is written down."""
        answer = self._call(
            f"fetching version {version} of {path}/{name}",
            "ssm",
            "get_parameter",
            Name=f"{path}/{name}:{version}",
            WithDecryption=True,
        )
        row = answer["Parameter"]
        packed = row.get("Type") == "SecureString" and next(
            (_about(r).get("packed") for r in self._history(path, name) if r["Version"] == version),
            False,
        )
        return base64.b64decode(row["Value"]).decode() if packed else str(row["Value"])

    def add(self, path: str, name: str, value: str, made: Secret) -> Secret:
        """Put a value as a new version, once for each operation."""
        about: dict[str, Any] = {
            "by": made.by[:100],
            "fingerprint": made.fingerprint,
            "operation": made.operation,
        }
        if made.again:
            about["again"] = made.again
        if "{{" in value:
            about["packed"], value = True, base64.b64encode(value.encode()).decode()
        doing = f"putting {path}/{name} into SSM"

        def put(client: Any) -> None:
            client.put_parameter(
                Name=f"{path}/{name}",
                Value=value,
                Description=json.dumps(about),
                Type="SecureString",
                Overwrite=True,
                Tier="Intelligent-Tiering",
                **master,
            )

        rows = self._history(path, name)
        master = {"KeyId": rows[-1]["KeyId"]} if rows and rows[-1].get("KeyId") else {}
        for attempt in range(TRIES):
            if found := _of(rows, made.operation):
                return found
            try:
                self._asked(doing, "ssm", put, attempts=1)
            except Answered as error:  # AWS repeats in its message what it was sent
                if attempt == TRIES - 1 or not isinstance(error, Ailing):
                    said = f"{doing}: AWS says {error.code}"
                    raise Answered(said, error.hint, error.code) from None
                self._sleep(0.5 * 2**attempt)
            except Failed:
                if attempt == TRIES - 1:
                    raise
                self._sleep(0.5 * 2**attempt)
            rows = self._history(path, name)
        if found := _of(rows, made.operation):
            return found
        raise Failed(f"{doing}: it was put, and SSM does not show it", "say it again in a minute")

    def remove(self, path: str, name: str) -> None:
        """Take a key away with all its versions; one that is not there is away."""
        try:
            self._call(
                f"taking {path}/{name} away", "ssm", "delete_parameter", Name=f"{path}/{name}"
            )
        except Answered as error:
            if error.code != "ParameterNotFound":
                raise

    def _history(self, path: str, name: str) -> list[dict[str, Any]]:
        try:
            answer = self._all(
                f"asking SSM for the versions of {path}/{name}",
                "ssm",
                "get_parameter_history",
                Name=f"{path}/{name}",
                PaginationConfig={"PageSize": PAGE},
            )
        except Answered as error:
            if error.code == "ParameterNotFound":
                return []
            raise
        return sorted(answer["Parameters"], key=lambda row: int(row["Version"]))


def secret(row: dict[str, Any]) -> Secret:
    """Return the record of a version, without its value."""
    about = _about(row)
    who = str(row.get("LastModifiedUser", "")).rpartition("/")[2]
    return Secret(
        name=str(row["Name"]).rpartition("/")[2],
        version=int(row["Version"]),
        at=row["LastModifiedDate"].timestamp(),
        by=str(about.get("by") or who),
        fingerprint=str(about.get("fingerprint", "")),
        again=int(about.get("again", 0)),
        operation=str(about.get("operation", "")),
    )


def _of(rows: list[dict[str, Any]], operation: str) -> Secret | None:
    found = (secret(row) for row in rows if _about(row).get("operation") == operation)
    return next(found, None)


def _about(row: dict[str, Any]) -> dict[str, Any]:
    try:
        about = json.loads(row.get("Description") or "{}")
    except ValueError:
        return {}  # a description that a person wrote
    return about if isinstance(about, dict) else {}
