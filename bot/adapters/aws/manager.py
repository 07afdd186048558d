"""Keys in AWS Secrets Manager: a version is told by a staging label of its own.

A version there has no number and no description, and one without a label may be taken away. So each
of the newest carries `packlead/NUMBER/FINGERPRINT/AGAIN/BY`. The operation is the request token,
which makes putting it twice the same as once.
"""

from __future__ import annotations

import re
from typing import Any

from bot.adapters.aws.errors import Answered
from bot.adapters.aws.records import Secret
from bot.adapters.aws.session import Session
from bot.errors import Failed

PAGE = 100
KEPT = 15  # versions; a secret has 20 labels at most, and AWS's own are among them
PREFIX = "packlead/"
CURRENT = "AWSCURRENT"
WINDOW = 7  # days in which a secret that was taken away can be had back


class Manager(Session):
    """One key is one secret, below its environment's path."""

    longest = 65536

    def keys(self, path: str) -> tuple[Secret, ...]:
        """Return the current version of every key below a path.

        The list may be five minutes old, says AWS: of it only the names count.
        """
        answer = self._all(
            f"asking Secrets Manager for the keys below {path}",
            "secretsmanager",
            "list_secrets",
            Filters=[{"Key": "name", "Values": [f"{path}/"]}],
        )
        found = []
        for row in answer["SecretList"]:
            name = str(row["Name"]).removeprefix(f"{path}/")
            if "/" in name or not str(row["Name"]).startswith(f"{path}/"):
                continue
            found += [made for made, _, held in self._numbered(path, name) if CURRENT in held]
        return tuple(found)

    def versions(self, path: str, name: str) -> tuple[Secret, ...]:
        """Return the versions of a key that are kept, oldest first."""
        return tuple(made for made, *_ in self._numbered(path, name))

    def value(self, path: str, name: str, version: int) -> str:
        """Return a value: for the hosts alone, and for nothing that is written down."""
        doing = f"fetching version {version} of {path}/{name}"
        ids = {made.version: id for made, id, _ in self._numbered(path, name)}
        if version not in ids:
            raise Failed(f"{doing}: Secrets Manager has it no more", "config ENV KEY shows it")
        answer = self._call(
            doing,
            "secretsmanager",
            "get_secret_value",
            SecretId=f"{path}/{name}",
            VersionId=ids[version],
        )
        if "SecretString" not in answer:
            raise Failed(f"{doing}: it is no text")
        return str(answer["SecretString"])

    def add(self, path: str, name: str, value: str, made: Secret) -> Secret:
        """Put a value as a new version, once for each operation."""
        doing, full = f"putting {path}/{name} into Secrets Manager", f"{path}/{name}"
        rows = self._there(doing, full)
        for number, row in enumerate(rows, 1):
            if not _label(row["VersionStages"]):  # made by somebody else: it gets its number now
                self._relabel(doing, full, to=row, label=f"{PREFIX}{number}///")
        rows = self._rows(path, name)
        token = made.operation  # 32 letters of hex, and so the id of the version that it makes
        known = next((row for row in rows if row["VersionId"] == token), None)
        if known is None:
            labelled = [row for row in rows if _label(row["VersionStages"])]
            for row in labelled[: max(0, len(labelled) - KEPT + 1)]:
                if CURRENT not in row["VersionStages"]:
                    self._relabel(doing, full, off=row, label=_label(row["VersionStages"]))
            number = max([0, *(_number(row) for row in rows)]) + 1
            by = re.sub(r"[^A-Za-z0-9_.-]", "-", made.by)[:60]
            label = f"{PREFIX}{number}/{made.fingerprint}/{made.again or ''}/{by}"
            self._quietly(
                doing,
                "put_secret_value",
                SecretId=full,
                SecretString=value,
                ClientRequestToken=token,
                VersionStages=[CURRENT, label],
            )
        found = next((m for m, id, _ in self._numbered(path, name) if id == token), None)
        if found is None:
            raise Failed(f"{doing}: it was put, and is not shown", "say it again in a minute")
        return found

    def remove(self, path: str, name: str) -> None:
        """Take a key away; for a week Secrets Manager can give it back. One not there is away."""
        try:
            self._call(
                f"taking {path}/{name} away",
                "secretsmanager",
                "delete_secret",
                SecretId=f"{path}/{name}",
                RecoveryWindowInDays=WINDOW,
            )
        except Answered as error:
            if error.code not in ("ResourceNotFoundException", "InvalidRequestException"):
                raise

    def _there(self, doing: str, full: str) -> list[dict[str, Any]]:
        """See that the secret exists, also where it was taken away before."""
        try:
            told = self._call(doing, "secretsmanager", "describe_secret", SecretId=full)
        except Answered as error:
            if error.code != "ResourceNotFoundException":
                raise
            self._call(doing, "secretsmanager", "create_secret", Name=full)  # without a value yet
            return []
        if told.get("DeletedDate"):
            self._call(doing, "secretsmanager", "restore_secret", SecretId=full)
        path, _, name = full.rpartition("/")
        return self._rows(path, name)

    def _quietly(self, doing: str, verb: str, **asked: Any) -> None:
        try:
            self._call(doing, "secretsmanager", verb, **asked)
        except Answered as error:  # AWS repeats in its message what it was sent
            raise Answered(f"{doing}: AWS says {error.code}", error.hint, error.code) from None

    def _relabel(
        self,
        doing: str,
        full: str,
        *,
        label: str,
        to: dict[str, Any] | None = None,
        off: dict[str, Any] | None = None,
    ) -> None:
        moved = {"MoveToVersionId": to["VersionId"]} if to else {}
        moved |= {"RemoveFromVersionId": off["VersionId"]} if off else {}
        self._call(
            doing,
            "secretsmanager",
            "update_secret_version_stage",
            SecretId=full,
            VersionStage=label,
            **moved,
        )

    def _rows(self, path: str, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"SecretId": f"{path}/{name}", "MaxResults": PAGE}
        while True:  # botocore has no paginator for it
            try:
                answer = self._call(
                    f"asking Secrets Manager for the versions of {path}/{name}",
                    "secretsmanager",
                    "list_secret_version_ids",
                    **asked,
                )
            except Answered as error:
                if error.code in ("ResourceNotFoundException", "InvalidRequestException"):
                    return []
                raise
            rows += [r for r in answer["Versions"] if r.get("VersionStages")]
            if not answer.get("NextToken"):
                break
            asked["NextToken"] = answer["NextToken"]
        return sorted(rows, key=lambda row: (_number(row) or 10**9, row["CreatedDate"]))

    def _numbered(self, path: str, name: str) -> list[tuple[Secret, str, list[str]]]:
        """Return each version with its id and its labels, oldest first."""
        found, last = [], 0
        for row in self._rows(path, name):
            at, last = row["CreatedDate"].timestamp(), _number(row) or last + 1
            made = secret(name, row["VersionStages"], at, row["VersionId"])
            shown = made or Secret(name, last, at)
            found.append((shown, str(row["VersionId"]), row["VersionStages"]))
        return found


def secret(name: str, labels: list[str], at: float, operation: str) -> Secret | None:
    """Return the record that a version's labels tell; None where it has none of ours."""
    parts = _label(labels).split("/")
    if len(parts) != 5:
        return None
    _, number, fingerprint, again, by = parts
    return Secret(name, int(number), at, by, fingerprint, int(again or 0), operation)


def _label(labels: list[str]) -> str:
    return next((label for label in labels if label.startswith(PREFIX)), "")


def _number(row: dict[str, Any]) -> int:
    parts = _label(row["VersionStages"]).split("/")
    return int(parts[1]) if len(parts) == 5 and parts[1].isdecimal() else 0
