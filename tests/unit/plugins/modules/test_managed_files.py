# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The whole module on folders of its own: check, do, check again, do again."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.module_utils._machine import (
    file_changes,
    file_states,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.file_groups import Step
from ansible_collections.ironbinder.platform.plugins.modules import managed_files

MARK = "Managed by us"
OURS = f"# {MARK}\n"
Run = Callable[..., dict[str, Any]]
Tree = dict[str, Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_module(*groups: dict[str, Any], check: bool = False) -> dict[str, Any]:
        with (
            patch_module_args({"groups": list(groups), "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit) as stop,
        ):
            managed_files.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert stop.value.code == (1 if answer.get("failed") else 0), answer
        return answer

    return run_module


def make(folder: Path, tree: Tree) -> None:
    """Make files of {name: text, bytes, (text, mode), None for a folder, Path for a link}."""
    folder.mkdir(exist_ok=True)
    for name, what in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if what is None:
            path.mkdir()
        elif isinstance(what, Path):
            path.symlink_to(what)
        else:
            text, mode = what if isinstance(what, tuple) else (what, 0o644)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
            path.chmod(mode)


def tree(folder: Path) -> dict[str, Any]:
    """Tell everything there is, with modes and links, and the inodes of files."""
    return {
        str(path.relative_to(folder)): (
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
            path.lstat().st_mode & 0o7777,
        )
        for path in sorted(folder.rglob("*"))
    }


def texts(folder: Path) -> dict[str, Any]:
    return {name: what for name, (what, _mode) in tree(folder).items() if what is not None}


# (what is there, files, other options, what is there afterwards, what the result says)
CASES: dict[str, tuple[Tree, Tree, Tree, Tree, Tree]] = {
    "create, with folders": (
        {},
        {"a": OURS, "sub/deep/b": OURS},
        {"depth": 3},
        {"a": OURS.encode(), "sub/deep/b": OURS.encode()},
        {"written": ["a", "sub/deep/b"]},
    ),
    "change": (
        {"a": OURS + "old\n"},
        {"a": OURS + "new\n"},
        {},
        {"a": f"{OURS}new\n".encode()},
        {"written": ["a"]},
    ),
    "remove what carries the mark, and the folder that it empties": (
        {"x/hosts": OURS, "y/hosts": OURS, "y/theirs": "hello\n", "z/hosts": "hello\n"},
        {},
        {"depth": 2},
        {"y/theirs": b"hello\n", "z/hosts": b"hello\n"},
        {"removed": ["x/hosts", "y/hosts"]},
    ),
    "look no deeper than told": ({"x/hosts": OURS}, {}, {}, {"x/hosts": OURS.encode()}, {}),
    "remove by name": (
        {"ironbinder-1.crt": "x\n", "ironbinder-2.crt": "y\n", "theirs.crt": "z\n"},
        {"ironbinder-2.crt": "y\n"},
        {"names": ["ironbinder-*.crt"]},
        {"ironbinder-2.crt": b"y\n", "theirs.crt": b"z\n"},
        {"removed": ["ironbinder-1.crt"]},
    ),
    "the mark in another line is no mark": ({"x": f"#\n{OURS}"}, {}, {}, {"x": f"#\n{OURS}".encode()}, {}),
    "a file of others is replaced, and kept": (
        {"a": ("theirs\n", 0o600)},
        {"a": OURS},
        {},
        {"a": OURS.encode(), "a.before-ironbinder": b"theirs\n"},
        {"written": ["a"], "replaced": [("a", "a.before-ironbinder")]},
    ),
    "one that lacks the mark alone is ours": (
        {"a": "text\n\n"},
        {"a": OURS + "text\n"},
        {},
        {"a": f"{OURS}text\n".encode()},
        {"written": ["a"]},
    ),
    "the same is kept once": (
        {"a": "theirs\n", "a.before-ironbinder": "theirs\n"},
        {"a": OURS},
        {},
        {"a": OURS.encode(), "a.before-ironbinder": b"theirs\n"},
        {"written": ["a"], "replaced": [("a", "")]},
    ),
    "another one is kept beside the first": (
        {"a": "theirs again\n", "a.before-ironbinder": "theirs\n"},
        {"a": OURS},
        {"names": ["a.*"]},
        {
            "a": OURS.encode(),
            "a.before-ironbinder": b"theirs\n",
            "a.before-ironbinder.fd115889": b"theirs again\n",
        },
        {"written": ["a"], "replaced": [("a", "a.before-ironbinder.fd115889")]},
    ),
    "and that one once, too": (
        {
            "a": "theirs again\n",
            "a.before-ironbinder": Path("nowhere"),
            "a.before-ironbinder.fd115889": "theirs again\n",
        },
        {"a": OURS},
        {},
        {
            "a": OURS.encode(),
            "a.before-ironbinder": Path("nowhere"),
            "a.before-ironbinder.fd115889": b"theirs again\n",
        },
        {"written": ["a"], "replaced": [("a", "")]},
    ),
    "what was kept is not ours to remove": (
        {"a.before-ironbinder": OURS},
        {},
        {},
        {"a.before-ironbinder": OURS.encode()},
        {},
    ),
    "bytes that are no UTF-8": (
        {"a": b"\xff\xfe\x00", "b": OURS.encode() + b"\xff"},
        {"a": OURS},
        {},
        {"a": OURS.encode(), "a.before-ironbinder": b"\xff\xfe\x00"},
        {"written": ["a"], "removed": ["b"], "replaced": [("a", "a.before-ironbinder")]},
    ),
    "a link is kept as a link": (
        {"there": "theirs\n", "a": Path("there")},
        {"a": OURS},
        {},
        {"there": b"theirs\n", "a": OURS.encode(), "a.before-ironbinder": Path("there")},
        {"written": ["a"], "replaced": [("a", "a.before-ironbinder")]},
    ),
    "a dead link too": (
        {"a": Path("nowhere")},
        {"a": OURS},
        {},
        {"a": OURS.encode(), "a.before-ironbinder": Path("nowhere")},
        {"written": ["a"], "replaced": [("a", "a.before-ironbinder")]},
    ),
    "a link to itself too": (
        {"a": Path("a")},
        {"a": OURS},
        {},
        {"a": OURS.encode(), "a.before-ironbinder": Path("a")},
        {"written": ["a"], "replaced": [("a", "a.before-ironbinder")]},
    ),
    "a link to the same content is as good": (
        {"there": OURS, "a": Path("there")},
        {"a": OURS},
        {"names": ["none"], "mark": ""},
        {"there": OURS.encode(), "a": Path("there")},
        {},
    ),
    "a link to a marked file is not removed": (
        {"there/x": "theirs\n", "a": Path("there/x")},
        {},
        {"names": ["a"]},
        {"there/x": b"theirs\n", "a": Path("there/x")},
        {},
    ),
    "a piece of a killed write is swept up": (
        {".a.x1_y2z3w": "half a li", ".b.x1_y2z3w": "not ours"},
        {"a": OURS},
        {},
        {"a": OURS.encode(), ".b.x1_y2z3w": b"not ours"},
        {"written": ["a"], "removed": [".a.x1_y2z3w"]},
    ),
    "a file that others write is awaited": ({}, {"key": None}, {"names": ["key"]}, {}, {"missing": ["key"]}),
    "an empty one too": ({"key": b""}, {"key": None}, {"names": ["key"]}, {"key": b""}, {"missing": ["key"]}),
    "and stays as it is": ({"key": "x"}, {"key": None}, {"names": ["key"]}, {"key": b"x"}, {}),
    "a block": (
        {"hosts": ("127.0.0.1 localhost\n", 0o640)},
        {"hosts": "192.0.2.1 a\n"},
        {"block": "ours", "mark": ""},
        {"hosts": b"127.0.0.1 localhost\n# BEGIN ours\n192.0.2.1 a\n# END ours\n"},
        {"written": ["hosts"]},
    ),
    "a block through a link": (
        {"real": "x\n", "hosts": Path("real")},
        {"hosts": "y\n"},
        {"block": "ours", "mark": ""},
        {"real": b"x\n# BEGIN ours\ny\n# END ours\n", "hosts": Path("real")},
        {"written": ["real"]},
    ),
    "a block that nobody wants": (
        {"hosts": "x\n# BEGIN ours\ny\n# END ours\n"},
        {"hosts": ""},
        {"block": "ours", "mark": ""},
        {"hosts": b"x\n"},
        {"written": ["hosts"]},
    ),
    # Jinja makes nothing of a template without text.
    "a block of nothing": (
        {"hosts": "x\n# BEGIN ours\ny\n# END ours\n"},
        {"hosts": None},
        {"block": "ours", "mark": ""},
        {"hosts": b"x\n"},
        {"written": ["hosts"]},
    ),
    "no block in no file": ({}, {"hosts": ""}, {"block": "ours", "mark": ""}, {}, {}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_check_do_check_do(run: Run, tmp_path: Path, case: tuple[Tree, Tree, Tree, Tree, Tree]) -> None:
    there, wanted, options, after, told = case
    folder = tmp_path / "folder"
    make(folder, there)
    group = {"folder": str(folder), "files": wanted, "mark": MARK, **options}
    before = tree(folder)
    check = run(group, check=True)
    assert tree(folder) == before
    done = run(group)
    assert texts(folder) == after
    # No folder is left empty, and a file of others around a block keeps its mode.
    assert {name for name, (what, _mode) in tree(folder).items() if what is None} == {
        str(parent) for name in after for parent in Path(name).parents if parent.name
    }
    for name in before if "block" in options else ():
        assert tree(folder)[name][1] == before[name][1]
    for answer in (check, done):
        assert [path.removeprefix(f"{folder}/") for path in answer["written"]] == told.get("written", [])
        assert [path.removeprefix(f"{folder}/") for path in answer["removed"]] == told.get("removed", [])
        assert [path.removeprefix(f"{folder}/") for path in answer["missing"]] == told.get("missing", [])
        assert [
            (entry["path"].removeprefix(f"{folder}/"), entry["kept_as"].removeprefix(f"{folder}/"))
            for entry in answer["replaced"]
        ] == told.get("replaced", [])
        assert answer["changed"] is bool(set(told) & {"written", "removed"})
    inodes = {path: path.lstat().st_ino for path in folder.rglob("*")}
    for again in (run(group, check=True), run(group)):
        assert not again["changed"]
        assert again["diff"] == []
    assert {path: path.lstat().st_ino for path in folder.rglob("*")} == inodes


def test_modes_and_owners_are_corrected(run: Run, tmp_path: Path) -> None:
    group = {"folder": str(tmp_path), "files": {"a": OURS, "key": None}, "mark": MARK, "mode": "0640"}
    make(tmp_path, {"a": (OURS, 0o666), "key": ("x", 0o600)})
    assert run(group, check=True)["corrected"] == [str(tmp_path / "a"), str(tmp_path / "key")]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666
    done = run(group)
    assert done["written"] == []
    assert {
        "before_header": str(tmp_path / "a"),
        "after_header": str(tmp_path / "a"),
        "before": "mode: 0666\n",
        "after": "mode: 0640\n",
    } in done["diff"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert not run(group)["changed"]
    if os.getuid() == 0:
        owned = {**group, "owner": "65534", "group": "65534"}
        assert run(owned, check=True)["corrected"] == [str(tmp_path / "a"), str(tmp_path / "key")]
        run(owned)
        assert (tmp_path / "a").stat().st_uid == (tmp_path / "key").stat().st_gid == 65534
        assert not run(owned)["changed"]
        # Without a wish a changed file keeps its owner.
        run({**group, "files": {"a": OURS + "more\n"}})
        assert (tmp_path / "a").stat().st_uid == 65534


def test_new_files_and_folders_have_their_modes_whatever_the_umask(run: Run, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run(
            {
                "folder": str(tmp_path / "new/er"),
                "files": {"x/a": OURS},
                "mark": MARK,
                "directory_mode": "0750",
            }
        )
    finally:
        os.umask(before)
    modes = {name: oct(mode) for name, (_what, mode) in tree(tmp_path).items()}
    assert modes == {"new": "0o750", "new/er": "0o750", "new/er/x": "0o750", "new/er/x/a": "0o644"}


def test_groups_that_share_a_folder_leave_each_other_alone(run: Run, tmp_path: Path) -> None:
    groups = [
        {"folder": str(tmp_path), "files": {name: OURS}, "mark": MARK, "mode": mode}
        for name, mode in (("a", "0644"), ("b", "0600"))
    ]
    run(*groups)
    assert set(texts(tmp_path)) == {"a", "b"}
    assert not run(*groups)["changed"]


@pytest.mark.parametrize("step", range(4))
def test_a_run_killed_after_any_step_is_finished_by_the_next(
    run: Run, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"a": "theirs\n", "x/old": OURS})
    group = {"folder": str(tmp_path), "files": {"a": OURS, "sub/b": OURS}, "mark": MARK, "depth": 2}
    left = iter(range(step))
    do = file_changes._do

    def killed(one: Step) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        do(one)

    monkeypatch.setattr(file_changes, "_do", killed)
    with patch_module_args({"groups": [group]}), pytest.raises(KeyboardInterrupt):
        managed_files.main()
    monkeypatch.undo()
    assert run(group)["changed"]
    assert texts(tmp_path) == {"a": OURS.encode(), "a.before-ironbinder": b"theirs\n", "sub/b": OURS.encode()}
    assert not run(group)["changed"]


def test_a_run_killed_between_keeping_and_writing_loses_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"a": "theirs\n"})

    def killed(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_changes, "_put", killed)
    group = {"folder": str(tmp_path), "files": {"a": OURS}, "mark": MARK}
    with patch_module_args({"groups": [group]}), pytest.raises(KeyboardInterrupt):
        managed_files.main()
    monkeypatch.undo()
    run(group)
    assert texts(tmp_path) == {"a": OURS.encode(), "a.before-ironbinder": b"theirs\n"}


def test_a_file_that_is_a_mount_is_written_in_place(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, {"hosts": ("a longer line than the next\n" * 9, 0o640)})
    inode = (tmp_path / "hosts").stat().st_ino

    def busy(*_args: Any, **_more: Any) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(file_changes, "write_atomically", busy)
    group = {"folder": str(tmp_path), "files": {"hosts": OURS}, "names": ["hosts"]}
    assert run(group)["written"] == [str(tmp_path / "hosts")]
    assert (tmp_path / "hosts").stat().st_ino == inode
    assert tree(tmp_path) == {"hosts": (OURS.encode(), 0o644)}


REFUSED: dict[str, tuple[Tree, Tree, str]] = {
    "a folder where a file should be": (
        {"a": None},
        {"files": {"a": OURS}},
        "is a folder, and a file has to stand there",
    ),
    "a folder where a file is awaited": ({"a": None}, {"files": {"a": None}}, "is a folder"),
    "a file where a folder should be": ({"a": "x"}, {"files": {"a/b": OURS}}, "one of its folders is a file"),
    "a file in place of the folder": (
        {"f": "x"},
        {"folder": "f", "files": {"b": OURS}},
        "one of its folders is a file",
    ),
    "a way out of the folder": ({}, {"files": {"../a": OURS}}, "is no name of a file below"),
    "an absolute name": ({}, {"files": {"/a": OURS}}, "is no name of a file below"),
    "content without the mark": ({}, {"files": {"a": "x\n"}}, "by which it would be known again"),
    "a number": ({}, {"files": {"a": 5}}, "are no text"),
    "a mode that YAML read as a number": ({}, {"files": {"a": OURS}, "mode": "420"}, "four digits in quotes"),
    "a user that nobody knows": (
        {},
        {"files": {"a": OURS}, "owner": "nobody-of-that-name"},
        "this machine has none",
    ),
}


@pytest.mark.parametrize(("there", "options", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_said_before_anything_is_changed(
    run: Run, tmp_path: Path, there: Tree, options: Tree, said: str
) -> None:
    make(tmp_path, there)
    before = tree(tmp_path)
    options = {"mark": MARK, **options, "folder": str(tmp_path / options.get("folder", ""))}
    first = {"folder": str(tmp_path), "files": {"first": OURS}, "mark": MARK}
    answer = run(first, options)
    assert answer["failed"]
    assert said in answer["msg"]
    assert str(tmp_path) in answer["msg"] or "mode" in said or "four" in said
    assert tree(tmp_path) == before


def test_a_pipe_is_not_read(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    answer = run({"folder": str(tmp_path), "files": {"a": OURS}, "mark": MARK})
    assert "no ordinary file" in answer["msg"]


def test_a_user_that_a_package_brings_may_be_missing_in_a_check(run: Run, tmp_path: Path) -> None:
    group = {"folder": str(tmp_path), "files": {"a": OURS}, "mark": MARK, "owner": "nobody-of-that-name"}
    assert run(group, check=True)["written"] == [str(tmp_path / "a")]


@pytest.mark.parametrize("what", ["a file", "a candidate", "a folder"])
def test_what_cannot_be_read_is_named(
    run: Run, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as root, whom the file system denies nothing but a dead disk's or a network's."""
    make(tmp_path, {"a": OURS, "b": OURS})

    def denied(*_args: Any, **_more: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    target, name = {
        "a file": (Path, "read_bytes"),
        "a candidate": (Path, "open"),
        "a folder": (file_states.os, "scandir"),
    }[what]
    wanted = {"a": OURS} if what == "a file" else {}
    with monkeypatch.context() as patch:
        patch.setattr(target, name, denied)
        answer = run({"folder": str(tmp_path), "files": wanted, "mark": MARK})
    assert "Permission denied" in answer["msg"]
    assert "become: true" in answer["msg"]
    assert set(texts(tmp_path)) == {"a", "b"}


def test_a_disk_that_refuses_is_told_with_what_was_done(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = file_changes._put

    def full(path: Path, *rest: Any) -> None:
        if path.name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        put(path, *rest)

    monkeypatch.setattr(file_changes, "_put", full)
    answer = run({"folder": str(tmp_path), "files": {"a": OURS, "b": OURS}, "mark": MARK})
    assert "No space left on device" in answer["msg"]
    assert "`df`" in answer["msg"]
    assert answer["changed"]
    assert answer["written"] == [str(tmp_path / "a")]


def at(path: Path, seconds: float) -> None:
    os.utime(path, (seconds, seconds))


# (seconds of file, of folder, of what uses it; None: missing; is it outdated)
TIMES: dict[str, tuple[float, float, float | None, bool]] = {
    "made after": (100, 100, 200, False),
    "made in the same moment": (100, 100, 100, False),
    "made before the file": (200, 100, 150, True),
    "made before a file was removed": (100, 200, 150, True),
    "never made": (100, 100, None, True),
    "a clock was wrong": (9e9, 9e9, 200, False),
}


@pytest.mark.parametrize("case", TIMES.values(), ids=TIMES.keys())
def test_what_is_older_than_its_files_is_named(
    run: Run, tmp_path: Path, case: tuple[float, float, float | None, bool]
) -> None:
    file, folder, made, is_outdated = case
    bundle = tmp_path / "bundle"
    make(tmp_path / "f", {"a": OURS})
    if made is not None:
        bundle.write_text("x")
        at(bundle, made)
    at(tmp_path / "f/a", file)
    at(tmp_path / "f", folder)
    group = {"folder": str(tmp_path / "f"), "files": {"a": OURS}, "mark": MARK, "used_by": str(bundle)}
    for check in (True, False):
        answer = run(group, check=check)
        assert not answer["changed"]
        assert answer["outdated"] == ([str(bundle)] if is_outdated else [])


def test_a_check_knows_what_will_be_outdated(run: Run, tmp_path: Path) -> None:
    make(tmp_path / "f", {"a": OURS})
    (tmp_path / "bundle").write_text("x")
    group = {"folder": str(tmp_path / "f"), "mark": MARK, "used_by": str(tmp_path / "bundle")}
    assert run({**group, "files": {"a": OURS}}, check=True)["outdated"] == []
    assert run({**group, "files": {}}, check=True)["outdated"] == [str(tmp_path / "bundle")]
    assert run({**group, "files": {"a": OURS + "x"}}, check=True)["outdated"] == [str(tmp_path / "bundle")]


def test_the_difference_is_one_a_person_can_read(run: Run, tmp_path: Path) -> None:
    make(tmp_path, {"a": "théirs\n", "b": OURS, "c": b"\xff"})
    answer = run(
        {"folder": str(tmp_path), "files": {"a": OURS, "c": OURS, "d/e": OURS}, "mark": MARK}, check=True
    )
    shown = {entry["after_header"].removeprefix(f"{tmp_path}/"): entry for entry in answer["diff"]}
    assert (shown["a"]["before"], shown["a"]["after"]) == ("théirs\n", OURS)
    assert "not Ironbinder's, kept as" in shown["a"]["before_header"]
    assert (shown["b"]["before"], shown["b"]["after"]) == (OURS, "")
    assert shown["c"]["before"] == "\\xff"
    assert shown["d"]["after"] == "folder, 0755\n"
    assert shown["d/e"]["before"] == ""


def test_a_secret_is_in_no_answer_and_no_log(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(managed_files.Module, "log", lambda self, msg, **_more: logged.append(str(msg)))
    make(tmp_path, {"key": "names-of-the-old\n"})
    group = {
        "folder": str(tmp_path),
        "files": {"key": "s3cret-line\nmore\n"},
        "names": ["key"],
        "sensitive": True,
    }
    answers = [run(group, check=True), run(group), run(group)]
    assert [answer["changed"] for answer in answers] == [True, True, False]
    told = json.dumps(answers) + "".join(logged)
    assert logged
    assert "s3cret-line" not in told
    assert "names-of-the-old" not in told
    assert answers[0]["diff"][0]["before"] != answers[0]["diff"][0]["after"]
    assert answers[0]["invocation"]["module_args"]["groups"][0]["files"] == ["key"]
