"""What puts things back is played once more where it was lost with its machine, and no more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.adapters.records import Outcome
from bot.errors import Failed
from bot.rolling import insist

LOST = "the playbook ended without a word"


@pytest.mark.parametrize("times", [0, 1, 2])
def test_it_is_played_once_more_where_it_was_lost(times: int):
    played, told = list[int](), list[str]()
    job = SimpleNamespace(tell=lambda note: told.append(note.text))

    def play() -> Outcome:
        played.append(len(played))
        if len(played) <= times:
            raise Failed(LOST)
        return Outcome(True)

    if times == 2:
        with pytest.raises(Failed, match=LOST):
            insist(job, play)  # type: ignore[arg-type]
    else:
        assert insist(job, play).ok  # type: ignore[arg-type]
    assert len(played) == min(times + 1, 2)
    assert told == [f"{LOST}; once more"] * min(times, 1)
