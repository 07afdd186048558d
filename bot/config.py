"""What the config file holds: frozen models that are its schema (bot/config_file.py reads it).

Secrets are never in it: they come from the environment (`bot.masking` names them). The annotated
example is `packlead.example.toml`.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from bot.errors import did_you_mean

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
KEY = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or text[-1].isdigit():
        raise ValueError("a name is lower case letters, digits and dashes, and ends in no digit")
    return text


def _key_name(text: str) -> str:
    if not KEY.fullmatch(text):
        raise ValueError("a key is named like TWITTER_KEY: capital letters, digits and underscores")
    return text


KeyName = Annotated[str, AfterValidator(_key_name)]
Name = Annotated[str, AfterValidator(_name)]
"""An environment or a type: it ends in no digit, since an instance's Name is both and a number."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class App(Model):
    """The application and how its hosts hold it."""

    name: str = "app"
    repository: str
    root: str = "/srv/app"  # on every host; {name} stands for the instance's name
    user: str = ""  # who owns it on the hosts; the ssh user where empty
    python: str = "python3"
    requirements: str = "requirements.txt"
    pip_options: tuple[str, ...] = ()
    migrate: tuple[str, ...] = ("manage.py", "migrate", "--noinput")
    static: tuple[str, ...] = ("manage.py", "collectstatic", "--noinput")
    keep_releases: int = Field(5, ge=2)
    manager: str = "manager"  # the type on whose first instance `shell` and `run` work
    shell: tuple[str, ...] = ("manage.py", "shell")
    line_shell: tuple[str, ...] = ("manage.py", "shell", "-c")  # takes Python as its last word
    line_seconds: float = Field(60.0, gt=0)  # that one line typed in Slack may run
    run: tuple[str, ...] = ("manage.py *", "!manage.py shell*", "!manage.py dbshell*")
    run_seconds: float = Field(3600.0, gt=0)


class Slack(Model):
    team: str = Field(pattern=r"^T[A-Z0-9]+$")


class Github(Model):
    """Where the application lives on GitHub; `service` is who a push of an unknown person is."""

    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    service: str = ""
    site: str = "https://github.com"
    look: float = Field(120.0, ge=0)  # seconds between looks for missed pushes; 0: it never looks


class Aws(Model):
    region: str = "us-east-1"


class Ssh(Model):
    connection: Literal["ssh", "local"] = "ssh"  # local: this machine is all of the hosts
    user: str = ""
    port: int = Field(22, ge=1, le=65535)
    key: str = ""
    known_hosts: str = ""  # empty: the user's own


class Ansible(Model):
    """How playbooks are run. `vars` are the owner's own: they may hold Jinja, as in group_vars."""

    forks: int = Field(20, ge=1)
    shard: int = Field(200, ge=1)  # hosts that one run may drive; more are shared among workers
    strategy: Literal["linear", "mitogen_linear"] = "linear"
    vars: dict[str, Any] = {}


class HostType(Model):
    """One value of the tag Type."""

    minimum: int = Field(2, ge=1)
    maximum: int = Field(20, ge=1)
    batch: int = Field(1, ge=1)
    services: tuple[str, ...] = ()
    service_manager: Literal["systemd", "supervisor"] = "systemd"
    port: int = Field(8000, ge=1, le=65535)
    health: str = ""  # path that answers 200 with the commit it runs; empty: no health over HTTP
    health_timeout: int = Field(60, ge=1)  # seconds until a switched host must be healthy
    drain_timeout: int = Field(300, ge=0)  # seconds that requests in flight may take
    settle: float = Field(10.0, ge=0)  # seconds a balancer may send on after it says draining

    @model_validator(mode="after")
    def _bounds(self) -> HostType:
        if self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self


class BalancerName(Model):
    """Which balancer serves a type: the name of an ELBv2 target group, or of a classic ELB."""

    target_group: str = ""
    classic: str = ""

    @model_validator(mode="after")
    def _one(self) -> BalancerName:
        if bool(self.target_group) == bool(self.classic):
            raise ValueError("name either target_group or classic")
        return self


class Window(Model):
    """A freeze that comes again and again: from a cron line on, for so many hours."""

    at: str
    hours: float = Field(gt=0, le=24 * 31)
    zone: str = "UTC"
    reason: str


class Environment(Model):
    """One value of the tag Env."""

    name: Name = ""
    channel: str = Field(pattern=r"^[CG][A-Z0-9]+$")
    branch: str = "master"  # what `deploy ENV` means without a ref
    allow: tuple[str, ...] = ("*",)  # branches that may be deployed here, as shell patterns
    auto: str = ""  # a push to this branch deploys it here
    balancers: dict[Name, BalancerName] = {}
    max_fail: int = Field(0, ge=0)
    ci: Literal["none", "required", "wait"] = "none"
    ci_checks: tuple[str, ...] = ()  # empty: all that report
    ci_seconds: float = Field(1800.0, gt=0)  # how long `wait` waits
    freeze: tuple[Window, ...] = ()
    approval: Literal["none", "confirm", "approve"] = "none"  # approve: by a second person
    approvers: tuple[str, ...] = ()  # names of people, or ids of Slack user groups
    approval_seconds: float = Field(900.0, gt=0)
    force: bool = False  # whether --force "REASON" may pass over ci, freeze and approval
    secrets: str = Field("", pattern=r"^(/[A-Za-z0-9_.-]+)*$")  # path; empty: /app.name/name
    shell: bool = False
    shell_seconds: float = Field(900.0, gt=0)  # that a shell in Slack may stay open


class Secrets(Model):
    """Where the application's keys are kept, as versions: below each environment's path."""

    store: Literal["ssm", "secretsmanager"] = "ssm"


class Key(Model):
    """One key of the application: the types that read it (empty: all), and how old it may get."""

    types: tuple[Name, ...] = ()
    max_age_days: int = Field(0, ge=0)  # 0: it is never reminded of


class Person(Model):
    """Somebody who may say something: known by ids, never by a display name."""

    slack: str = Field("", pattern=r"^([UW][A-Z0-9]+)?$")
    unix: str = ""
    github: str = ""
    git: tuple[str, ...] = ()  # addresses of their commits: who wrote what goes out is mentioned


class Permission(Model):
    """`who` are names of people, or ids of Slack user groups; `*` in `may` and `on` means all."""

    who: tuple[str, ...] = Field(min_length=1)
    may: tuple[str, ...] = Field(min_length=1)
    on: tuple[str, ...] = ("*",)


class Images(Model):
    """What pruning may take away: `young` in seconds, `limit` images in one run."""

    young: float = Field(3600.0, ge=0)
    limit: int = Field(50, ge=1)


class Schedule(Model):
    """A line that nobody types: the person `clock` says it, whenever the cron line fires."""

    name: Name
    at: str  # five fields, as in crontab
    zone: str = "UTC"
    say: str
    channel: str = Field("", pattern=r"^([CG][A-Z0-9]+)?$")


class Config(Model):
    """Everything in the file. Environments and types know their own names."""

    app: App
    slack: Slack | None = None
    github: Github | None = None
    aws: Aws = Aws()
    ssh: Ssh = Ssh()
    ansible: Ansible = Ansible()
    types: dict[Name, HostType] = Field(min_length=1)
    environments: dict[Name, Environment] = Field(min_length=1)
    people: dict[str, Person] = {}
    permissions: tuple[Permission, ...] = ()
    schedule: tuple[Schedule, ...] = ()
    images: Images = Images()
    secrets: Secrets = Secrets()
    keys: dict[KeyName, Key] = {}
    lease: float = Field(15.0, ge=1)  # seconds after which a silent worker counts as dead
    data: str = ".packlead"  # folder of the database, of runs and locks; from the file's own folder
    url: str = ""  # where people reach the pages; PACKLEAD_URL goes before it

    @model_validator(mode="before")
    @classmethod
    def _names(cls, data: Any) -> Any:
        environments = data.get("environments") if isinstance(data, dict) else None
        if isinstance(environments, dict):
            named = {
                k: {**v, "name": k} if isinstance(v, dict) else v for k, v in environments.items()
            }
            return {**data, "environments": named}
        return data

    @model_validator(mode="after")
    def _known(self) -> Config:
        wrong = [
            f"environments.{e.name}.balancers.{t}: no such type{hint(t, self.types)}"
            for e in self.environments.values()
            for t in e.balancers
            if t not in self.types
        ]
        for number, row in enumerate(self.permissions):
            at = f"permissions.{number}"
            wrong += [
                f"{at}.who: {w!r} is neither below [people] nor a user group id"
                f"{hint(w, self.people)}"
                for w in row.who
                if w not in self.people and not re.fullmatch(r"S[A-Z0-9]+|\*|clock", w)
            ]
            wrong += [
                f"{at}.on: {e!r} is no environment{hint(e, self.environments)}"
                for e in row.on
                if e != "*" and e not in self.environments
            ]
        for e in self.environments.values():
            at = f"environments.{e.name}.approvers"
            wrong += [
                f"{at}: {w!r} is neither below [people] nor a user group id{hint(w, self.people)}"
                for w in e.approvers
                if w not in self.people and not re.fullmatch(r"S[A-Z0-9]+", w)
            ]
            if e.approval == "approve" and not e.approvers:
                wrong.append(f"{at}: missing, since approval is by a second person")
            unknown = [n for n, p in self.people.items() if not p.slack and (p.unix or p.github)]
            if (
                e.approval == "approve"
                and unknown
                and not all(w in self.people for w in e.approvers)
            ):
                # Who asks in a terminal could say yes in Slack, as a member of that group.
                wrong.append(f"{at}: a group may say yes, so people.{unknown[0]}.slack is needed")
        wrong += self._pushes()
        wrong += [
            f"keys.{name}.types: no such type{hint(t, self.types)}"
            for name, key in self.keys.items()
            for t in key.types
            if t not in self.types
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def _pushes(self) -> list[str]:
        """Say what is wrong with what pushes do."""
        wrong = [
            f'environments.{e.name}.auto: "{e.auto}" may not be deployed there, see its `allow`'
            for e in self.environments.values()
            if e.auto and not any(fnmatch.fnmatchcase(e.auto, p) for p in e.allow)
        ]
        who = self.github.service if self.github else ""
        if who and who not in self.people:
            wrong.append(f"github.service: {who!r} is not below [people]{hint(who, self.people)}")
        return wrong


def secrets_path(config: Config, environment: str) -> str:
    """Return below which path an environment's keys are kept."""
    known = config.environments.get(environment)
    return known.secrets if known and known.secrets else f"/{config.app.name}/{environment}"


def hint(word: str, known: Any) -> str:
    near = did_you_mean(word, known)
    return f", {near}" if near else ""
