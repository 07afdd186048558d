"""Reading the config file: every mistake in it is told at once.

`packlead.toml`, or the path in PACKLEAD_CONFIG.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.config import Config, Model, hint
from bot.errors import Misconfigured

DEFAULT_PATH = "packlead.toml"


def load(path: str | os.PathLike[str] | None = None) -> Config:
    """Read the config file; raises Misconfigured with one line for every mistake in it."""
    file = Path(path or os.environ.get("PACKLEAD_CONFIG") or DEFAULT_PATH)
    try:
        data = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise Misconfigured(
            f"there is no config file at {file}",
            "copy packlead.example.toml there, or set PACKLEAD_CONFIG",
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{file}: {error}") from None
    if url := os.environ.get("PACKLEAD_URL", "").strip():
        data["url"] = url
    try:
        config = Config.model_validate(data)
        folder = file.absolute().parent / Path(config.data).expanduser()
        return config.model_copy(update={"data": str(folder)})
    except ValidationError as error:
        lines = [line for e in error.errors() for line in _told(e)]
        raise Misconfigured("\n".join(lines), f"correct {file}, then: packlead check") from None


def _told(error: Any) -> list[str]:
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "extra_forbidden":
            return [f"{where}: unknown{hint(str(error['loc'][-1]), _fields(error['loc'][:-1]))}"]
        case "missing":
            return [f"{where}: missing"]
        case "value_error":
            text = str(error["ctx"]["error"])
            return [f"{where}: {text}"] if where else text.splitlines()
        case _:
            said = error["msg"][0].lower() + error["msg"][1:]
            return [f"{where}: {said}, it is {error['input']!r}"[:300]]


def _fields(place: tuple[Any, ...]) -> list[str]:
    """Return the keys that a place in the file may hold."""
    model: Any = Config
    for part in place:
        if not isinstance(part, str) or part not in getattr(model, "model_fields", {}):
            continue  # a name that the owner chose, or a number in a list
        kind = model.model_fields[part].annotation
        kinds = [kind, *getattr(kind, "__args__", ())]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, Model)), model)
    return list(getattr(model, "model_fields", {}))
