"""What people type: understood as it was meant, or answered with what to type instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import commands
from bot.command import REF, find
from bot.config import Config
from bot.errors import Misunderstood
from bot.parse import normalise, parse

KNOWN = find(commands)


def read(text, config):
    call = parse(text, KNOWN, config)
    said = {k: getattr(v, "name", v) for k, v in call.arguments.items()}
    return call.command.name, said


def refused(text, config):
    with pytest.raises(Misunderstood) as caught:
        parse(text, KNOWN, config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("deploy prod", {"environment": "prod"}),
        ("/deploy prod master", {"environment": "prod", "ref": "master"}),
        ("DEPLOY prod feature/logo", {"environment": "prod", "ref": "feature/logo"}),
        ("deploy prod --only web", {"environment": "prod", "only": "web"}),
        ("deploy --only=web prod", {"environment": "prod", "only": "web"}),
        ("deploy prod master —dry-run", {"environment": "prod", "ref": "master", "dry_run": True}),
        ("deploy prod –only web", {"environment": "prod", "only": "web"}),
        ("deploy “prod” ‘master’", {"environment": "prod", "ref": "master"}),
        ("deploy\u00a0prod\u2009master\u200b", {"environment": "prod", "ref": "master"}),
    ],
)
def test_it_is_understood_as_it_was_meant(text, arguments, config):
    assert read(text, config) == ("deploy", arguments)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "nothing was said\nhelp lists what can be said"),
        ("deplyo prod", 'there is no command "deplyo"\ndid you mean "deploy"?'),
        ("deploy", "deploy needs an ENV\nknown: prod, puppystream\nusage: deploy ENV [REF]"),
        ("deploy prdo", 'there is no environment "prdo"\ndid you mean "prod"?\nusage: '),
        ("deploy xyz", 'there is no environment "xyz"\nknown: prod, puppystream\nusage: '),
        ("deploy prod master now", 'deploy does not know what to do with "now"\nusage: '),
        ("deploy prod --onyl web", 'deploy knows no "--onyl"\ndid you mean "--only"?\nusage: '),
        ("deploy prod --only wbe", 'there is no type "wbe"\ndid you mean "web"?\nusage: '),
        ("deploy prod --only", '"--only" needs a TYPE\nusage: '),
        ("deploy prod --dry-run=yes", '"--dry-run" takes no value\nusage: '),
        ("cancel twelve", '"twelve" is not the number of an operation\n'),
        ("x" * 3000, "that is 3000 characters long; 2000 are read at most"),
    ],
)
def test_what_is_not_understood_says_what_to_type(text, answer, config):
    assert refused(text, config).startswith(answer)


@pytest.mark.parametrize(
    "ref",
    [
        "{{ lookup('pipe','id') }}", "{{lookup('pipe','id')}}", "$(id)", "--upload-pack=touch x",
        "<!channel>", "a..b", "a//b", "a/", "-x", ".x", "x.lock", "`id`", "a;id", "a|b", "é",
        "a" * 300,
    ],
)  # fmt: skip
def test_a_ref_that_could_do_something_is_refused(ref, config):
    told = refused(f"deploy prod {ref!r}" if " " in ref else f"deploy prod {ref}", config)
    assert "cannot be a branch" in told or "knows no" in told or "does not know what" in told
    assert len(told) < 400


@given(st.text(max_size=300))
def test_no_line_ever_breaks_the_parser(text):
    config = Config.model_validate(MINIMAL)
    try:
        parse(text, KNOWN, config)
    except Misunderstood as error:
        assert error.text


@given(st.text(alphabet="dploy prod-—–“”‘'\"\\ {}$()`<!>&;|#=\u200b\u00a0", max_size=60))
def test_a_line_that_is_understood_reads_back_as_itself(rest):
    config = Config.model_validate(MINIMAL)
    try:
        call = parse(f"deploy prod {rest}", KNOWN, config)
    except Misunderstood:
        return
    again = parse(call.line, KNOWN, config)
    assert again.arguments == call.arguments
    assert REF.fullmatch(call.arguments.get("ref", "x"))


@given(st.text(max_size=200))
def test_cleaning_twice_is_cleaning_once(text):
    assert normalise(normalise(text)) == normalise(text)


MINIMAL = {
    "app": {"repository": "x"},
    "types": {"web": {}},
    "environments": {"prod": {"channel": "C0PROD"}},
}
