"""What of GitHub Packlead asks, in GitHub's shapes, told from a real repository.

Commits, statuses, check runs, comparisons, deployments; and signed webhooks after a push. Tests set
statuses and check runs by `set_status` and `set_check`; `fault` lets it misbehave.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.lab import history
from tests.lab.githistory import NotThere, Repository
from tests.lab.serving import Server, listen
from tests.lab.webhooks import Webhooks

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
Json = dict[str, Any]


class GitHub:
    """The API at `url`, for the one repository lab/kennel."""

    def __init__(self, address: str, path: Path) -> None:
        self.token = "ghp-lab-token"
        self.webhooks = Webhooks("lab-webhook-secret")
        self.deployments: list[Json] = []
        self.deployment_statuses: dict[int, list[Json]] = {}
        self.log: list[tuple[str, str, int]] = []  # method, path, status
        self.pull_requests: dict[str, list[Json]] = {}  # by commit
        self._statuses: dict[str, list[Json]] = {}
        self._checks: dict[str, list[Json]] = {}
        self._more_to_come: set[str] = set()
        self._faults: list[str] = []
        self._address, self._repository = address, Repository(path)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return self._server.url if self._server else ""

    @property
    def pushed(self) -> str:
        """Where the repository's hook tells of a push."""
        return f"{self.url}/pushed"

    def start(self) -> None:
        app = web.Application(middlewares=[self._guard])
        at = f"/repos/{history.OWNER}/{history.NAME}"
        app.add_routes(
            [
                web.get(at, self._about),
                web.get(at + "/commits/{ref:.+}/status", self._combined),
                web.get(at + "/commits/{ref:.+}/check-runs", self._check_runs),
                web.get(at + "/commits/{ref:.+}/check-suites", self._check_suites),
                web.get(at + "/commits/{ref:.+}/pulls", self._pulls),
                web.get(at + "/commits/{ref:.+}", self._commit),
                web.get(at + "/compare/{base:.+}...{head:.+}", self._compare),
                web.post(at + "/statuses/{sha}", self._add_status),
                web.get(at + "/deployments", self._list_deployments),
                web.post(at + "/deployments", self._deploy),
                web.get(at + "/deployments/{id}/statuses", self._list_deployment_statuses),
                web.post(at + "/deployments/{id}/statuses", self._deployment_status),
                web.post("/pushed", self._pushed),
            ]
        )
        self._server = Server(app, listen(self._address))
        self._server.start()

    def stop(self) -> None:
        if self._server:
            self._server.stop()

    def set_status(self, sha: str, state: str, context: str = "ci/tests", text: str = "") -> None:
        """Set one commit status: error, failure, pending or success."""
        one = {
            "context": context,
            "state": state,
            "description": text,
            "target_url": self._ci(context),
        }
        kept = [s for s in self._statuses.get(sha, []) if s["context"] != context]
        self._statuses[sha] = [*kept, one]

    def set_check(
        self, sha: str, name: str, conclusion: str = "", status: str = "completed"
    ) -> None:
        """Set one check run; without a conclusion it is still in progress."""
        one = {
            "id": int(hashlib.sha256(f"{sha}{name}".encode()).hexdigest()[:8], 16),
            "name": name,
            "head_sha": sha,
            "status": status if conclusion else "in_progress",
            "conclusion": conclusion or None,
            "html_url": self._ci(name),
        }
        kept = [c for c in self._checks.get(sha, []) if c["name"] != name]
        self._checks[sha] = [*kept, one]

    def more_to_come(self, sha: str, more: bool = True) -> None:
        """Have checks wait for others to end: until then nothing but their suite tells of them."""
        (self._more_to_come.add if more else self._more_to_come.discard)(sha)

    def fault(self, kind: str, times: int = 1) -> None:
        """Misbehave for the next calls: 429, 503, slow (5 s) or nonsense."""
        self._faults += [kind] * times

    def calm(self) -> None:
        """Misbehave no more."""
        self._faults.clear()

    def push_event(self, old: str, new: str, ref: str) -> Json:
        """Return what a push's webhook holds."""
        return self._repository.push_event(old, new, ref)

    def send_push(self, old: str, new: str, ref: str) -> threading.Thread:
        """Send a push's webhook, signed, from a thread of its own."""
        return self.webhooks.send("push", self.push_event(old, new, ref))

    def _ci(self, name: str) -> str:
        return f"https://ci.kennel.example/{name}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/pushed":
            answer: web.StreamResponse = await handler(request)
            return answer
        answer = await self._answer(request, handler)
        self.log.append((request.method, request.path_qs, answer.status))
        return answer

    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "slow":
            await asyncio.sleep(5)
        elif fault == "nonsense":
            return web.Response(text="<html>unicorn</html>", content_type="text/html")
        elif fault:
            headers = {"Retry-After": "1"} if fault == "429" else {}
            return web.json_response(
                {"message": "again, later"}, status=int(fault), headers=headers
            )
        if request.headers.get("Authorization", "").split(" ")[-1] != self.token:
            return web.json_response({"message": "Bad credentials"}, status=401)
        try:
            answer: web.StreamResponse = await handler(request)
        except NotThere as error:
            return web.json_response({"message": f"No commit found for SHA: {error}"}, status=422)
        except web.HTTPNotFound:
            return web.json_response({"message": "Not Found"}, status=404)
        except (KeyError, ValueError) as error:
            return web.json_response({"message": f"Validation Failed: {error}"}, status=422)
        return answer

    async def _about(self, request: web.Request) -> web.Response:
        return web.json_response(self._repository.about())

    async def _commit(self, request: web.Request) -> web.Response:
        return web.json_response(self._repository.commit(request.match_info["ref"], files=True))

    async def _compare(self, request: web.Request) -> web.Response:
        base, head = request.match_info["base"], request.match_info["head"]
        return web.json_response(self._repository.compare(base, head))

    async def _combined(self, request: web.Request) -> web.Response:
        sha = self._repository.resolve(request.match_info["ref"])
        told = self._statuses.get(sha, [])
        states = {s["state"] for s in told}
        state = "failure" if states & {"error", "failure"} else "pending"
        if states == {"success"}:
            state = "success"
        shown = _page(request, told)
        return web.json_response(
            {"sha": sha, "state": state, "statuses": shown, "total_count": len(told)}
        )

    async def _check_runs(self, request: web.Request) -> web.Response:
        runs = self._checks.get(self._repository.resolve(request.match_info["ref"]), [])
        shown = _page(request, runs)
        return web.json_response({"total_count": len(runs), "check_runs": shown})

    async def _check_suites(self, request: web.Request) -> web.Response:
        """One of Actions, with the runs that there are, and one of an app that has never run."""
        sha = self._repository.resolve(request.match_info["ref"])
        runs = self._checks.get(sha, [])
        over = all(run["status"] == "completed" for run in runs) and sha not in self._more_to_come
        rows = [
            {"app": {"name": "Idle"}, "status": "queued", "latest_check_runs_count": 0},
            {
                "app": {"name": "GitHub Actions"},
                "status": "completed" if over and runs else "queued",
                "latest_check_runs_count": len(runs),
            },
        ]
        shown = _page(request, rows)
        return web.json_response({"total_count": len(rows), "check_suites": shown})

    async def _pulls(self, request: web.Request) -> web.Response:
        sha = self._repository.resolve(request.match_info["ref"])
        return web.json_response(_page(request, self.pull_requests.get(sha, [])))

    async def _add_status(self, request: web.Request) -> web.Response:
        sha, told = self._repository.resolve(request.match_info["sha"]), await request.json()
        self.set_status(
            sha, told["state"], told.get("context", "default"), told.get("description", "")
        )
        return web.json_response(self._statuses[sha][-1], status=201)

    async def _list_deployments(self, request: web.Request) -> web.Response:
        wanted = {k: v for k, v in request.query.items() if k in ("environment", "sha", "task")}
        found = [d for d in self.deployments if all(d[k] == v for k, v in wanted.items())]
        return web.json_response(_page(request, found[::-1]))

    async def _deploy(self, request: web.Request) -> web.Response:
        told = await request.json()
        number = len(self.deployments) + 1
        made = {
            "id": number,
            "sha": self._repository.resolve(told["ref"]),
            "ref": told["ref"],
            "task": told.get("task", "deploy"),
            "environment": told.get("environment", "production"),
            "description": told.get("description"),
            "payload": told.get("payload", {}),
            "transient_environment": told.get("transient_environment", False),
            "production_environment": told.get(
                "production_environment", told.get("environment") in (None, "production")
            ),
            "created_at": _now(),
            "statuses_url": f"{request.url}/{number}/statuses",
        }
        self.deployments.append(made)
        self.deployment_statuses[number] = []
        return web.json_response(made, status=201)

    async def _list_deployment_statuses(self, request: web.Request) -> web.Response:
        return web.json_response(_page(request, self._of(request)[::-1]))

    async def _deployment_status(self, request: web.Request) -> web.Response:
        told, kept = await request.json(), self._of(request)
        if told["state"] not in STATES:
            raise ValueError(f"state {told['state']!r}")
        keys = ("state", "description", "log_url", "environment_url", "environment")
        kept.append(
            {"id": len(kept) + 1, "created_at": _now(), **{k: told.get(k, "") for k in keys}}
        )
        if told["state"] == "success" and told.get("auto_inactive", True):
            self._retire(int(request.match_info["id"]))
        return web.json_response(kept[-1], status=201)

    def _retire(self, number: int) -> None:
        """Make earlier ones of the environment inactive, where GitHub does: not in production."""
        here = self.deployments[number - 1]["environment"]
        for other in self.deployments[: number - 1]:
            told = self.deployment_statuses[other["id"]]
            lasts = other["transient_environment"] or other["production_environment"]
            if (
                other["environment"] == here
                and not lasts
                and told
                and told[-1]["state"] == "success"
            ):
                told.append({"id": len(told) + 1, "created_at": _now(), "state": "inactive"})

    def _of(self, request: web.Request) -> list[Json]:
        try:
            return self.deployment_statuses[int(request.match_info["id"])]
        except (KeyError, ValueError):
            raise web.HTTPNotFound from None

    async def _pushed(self, request: web.Request) -> web.Response:
        for line in (await request.text()).splitlines():
            old, new, ref = line.split(" ", 2)
            if self.webhooks.url:
                self.send_push(old, new, ref)
        return web.Response()


def _page(request: web.Request, rows: list[Json]) -> list[Json]:
    """Return the page that was asked for, 30 to a page as GitHub does by itself."""
    size = min(int(request.query.get("per_page", 30)), 100)
    start = (int(request.query.get("page", 1)) - 1) * size
    return rows[start : start + size]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
