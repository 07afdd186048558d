"""Values of secrets do not come out of what is written, and children get only those they need."""

import logging

import pytest

from bot import masking

URL = "postgresql://packlead:p%40ss-word-7@db.internal:5432/packlead"


@pytest.mark.parametrize("name", masking.SECRETS)
@pytest.mark.parametrize("form", [masking.Formatter, masking.JsonFormatter])
def test_no_secret_comes_out_of_a_log(monkeypatch: pytest.MonkeyPatch, name: str, form: type):
    value = f"canary-of-{name}-x7"
    monkeypatch.setenv(name, value)
    try:
        raise RuntimeError(f"the server said: {value} is wrong")
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("x", 40, "x.py", 1, "asked with %s", (value,), info)
    line = form().format(record)
    assert value not in line and line.count(f"[{name}]") >= 2


def test_the_password_of_the_database_by_itself():
    said = 'password "p@ss-word-7" (p%40ss-word-7) of packlead is wrong'
    masked = masking.mask(said, {"DATABASE_URL": URL})
    assert "ss-word-7" not in masked and masked.endswith("of packlead is wrong")
    assert masking.mask(f"opening {URL}", {"DATABASE_URL": URL}) == "opening [DATABASE_URL]"
    assert masking.mask("as it is", {"DATABASE_URL": "http://[no-url"}) == "as it is"


def test_a_child_gets_what_it_needs():
    given = dict.fromkeys(masking.SECRETS, "x") | {"PATH": "/bin", "SLACK_API_URL": "http://x"}
    assert masking.without(given) == {"PATH": "/bin", "SLACK_API_URL": "http://x"}
    assert "GITHUB_TOKEN" in masking.without(given, ["GITHUB_TOKEN"])
