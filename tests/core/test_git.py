"""What a ref means: asked of a real repository, through git itself."""

import subprocess

import pytest

from bot.adapters.git import Git
from bot.errors import Failed, Misunderstood, Refused


@pytest.fixture
def repository(tmp_path):
    path = tmp_path / "app.git"
    work = tmp_path / "work"

    def git(*words, where=work):
        identity = ["-c", "user.name=Grace", "-c", "user.email=grace@example.com"]
        done = subprocess.run(["git", *identity, *words], cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    work.mkdir()
    git("init", "-q", "-b", "master")
    git("commit", "-q", "--allow-empty", "-m", "wag")
    git("tag", "-a", "v1.0", "-m", "one")
    git("commit", "-q", "--allow-empty", "-m", "bark <!channel>")
    git("checkout", "-q", "-b", "feature/logo")
    git("commit", "-q", "--allow-empty", "-m", "a logo")
    git("clone", "-q", "--bare", ".", str(path))
    return path, lambda ref: git("rev-parse", f"{ref}^{{commit}}")


def test_a_branch_a_tag_and_a_commit(repository, tmp_path):
    path, id = repository
    git = Git(str(path), tmp_path / "mirror")
    assert git.resolve("master").id == id("master")
    assert git.resolve("master").subject == "bark <!channel>"
    assert git.resolve("v1.0").id == id("v1.0")
    assert git.resolve(id("master")[:9]).id == id("master")
    assert git.resolve("feature/logo").author == "Grace"
    assert [c.subject for c in git.log(id("v1.0"), id("feature/logo"))] == [
        "a logo", "bark <!channel>",
    ]  # fmt: skip


def grown(tmp_path, path, *words):
    """Do something in the repository, and push all of it."""
    identity = ["-c", "user.name=Eve", "-c", "user.email=eve@example.com"]
    for each in (words, ("push", "-q", str(path), "--all"), ("push", "-q", str(path), "--tags")):
        subprocess.run(["git", *identity, *each], cwd=tmp_path / "work", check=True)


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x1c", "\r"])
def test_odd_line_ends_in_names_and_subjects_are_none(repository, tmp_path, odd):
    """Whoever may push a branch, or has a commit merged, must not stop all deploys."""
    path, id = repository
    old = id("master")
    grown(tmp_path, path, "commit", "-q", "--allow-empty", "-m", f"one{odd}two")
    if odd in "\u2028\x85":
        grown(tmp_path, path, "branch", f"zz{odd}zz/refs/heads/master")
    git = Git(str(path), tmp_path / "mirror")
    assert git.resolve("master").id == old
    assert git.log(old, id("feature/logo"))[0].subject == f"one{odd}two"
    assert "master" in git.refs()


def test_a_commit_is_that_commit_whatever_is_called_so(repository, tmp_path):
    path, id = repository
    whole, other = id("master"), id("v1.0")
    grown(tmp_path, path, "update-ref", f"refs/heads/{whole[:12]}", other)
    grown(tmp_path, path, "update-ref", f"refs/tags/{whole}", other)
    git = Git(str(path), tmp_path / "mirror")
    assert git.resolve(whole, ("master",)).id == whole
    with pytest.raises(Misunderstood, match="is a branch, and the beginning of a commit"):
        git.resolve(whole[:12])
    assert git.resolve(whole[:11]).id == whole


def test_which_files_came_anew(repository, tmp_path):
    path, id = repository
    git = Git(str(path), tmp_path / "mirror")
    assert git.changed(id("v1.0"), id("master")) == ()
    with pytest.raises(Failed, match="'--output=x' is not a commit"):
        git.changed("--output=x", id("master"))
    work = tmp_path / "work"
    (work / "app" / "migrations").mkdir(parents=True)
    (work / "app" / "migrations" / "0001 näme.py").touch()
    before = id("feature/logo")
    for words in (["add", "-A"], ["commit", "-q", "-m", "more"], ["push", "-q", str(path), "HEAD"]):
        identity = ["-c", "user.name=Grace", "-c", "user.email=grace@example.com"]
        subprocess.run(["git", *identity, *words], cwd=work, check=True)
    after = id("feature/logo")
    assert git.changed(before, after, "A") == ("app/migrations/0001 näme.py",)
    assert git.changed(after, before, "A") == (), "what went is not what came"
    assert git.changed(after, before) == ("app/migrations/0001 näme.py",)


def test_what_may_be_deployed_here(repository, tmp_path):
    path, id = repository
    git = Git(str(path), tmp_path / "mirror")
    assert git.resolve("master", ("master",)).id == id("master")
    assert git.resolve("v1.0", ("master",)).id == id("v1.0"), "it lies on master"
    with pytest.raises(Refused, match="may not be deployed here"):
        git.resolve("feature/logo", ("master", "release/*"))
    with pytest.raises(Refused, match="may not be deployed here"):
        git.resolve(id("feature/logo"), ("master",))


def test_an_unknown_ref_is_answered_with_a_near_one(repository, tmp_path):
    git = Git(str(repository[0]), tmp_path / "mirror")
    with pytest.raises(Misunderstood, match='did you mean "master"'):
        git.resolve("mastre")
    with pytest.raises(Misunderstood, match=r"it has feature/logo, master, v1\.0"):
        git.resolve("0123456789")


def test_a_repository_that_cannot_be_reached(tmp_path):
    with pytest.raises(Failed, match=r"reading the repository https://127\.0\.0\.1:1/app"):
        Git("https://ada:secret@127.0.0.1:1/app.git", tmp_path / "mirror").resolve("master")


def test_a_ref_is_never_an_option(repository, tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises((Misunderstood, Failed)):
        Git(str(repository[0]), tmp_path / "mirror").resolve(f"--upload-pack=touch {trap};")
    assert not trap.exists()
