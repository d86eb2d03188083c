"""Whose lab is on this computer: what may go without asking, what runs and is refused, and what an older lab left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lab import whose

KEY = "ssh-ed25519 AAAA1"
US = whose.Us("aaaaaaaaaaaa", "/home/me/ironbinder", KEY)
OTHER = {"ironbinder.lab.owner": "bbbbbbbbbbbb", "ironbinder.lab.checkout": "/home/you/ironbinder"}
OURS = {"ironbinder.lab.owner": US.owner, "ironbinder.lab.checkout": US.checkout}


class Docker:
    """Does nothing, and knows what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *argv: str) -> str:
        self.calls.append(argv)
        return ""


def container(
    name: str, labels: dict[str, str], running: bool = True, key: str = "ssh-ed25519 AAAA2"
) -> dict[str, Any]:
    """What `docker inspect` says of a lab machine, as far as it is read."""
    return {
        "Name": f"/ironbinder-{name}",
        "State": {"Running": running},
        "Config": {
            "Labels": {"ironbinder.lab": name, **labels},
            "Env": ["LAB_RESOLVER=172.30.77.41", f"LAB_AUTHORIZED_KEY={key} ironbinder-lab", "PATH=/bin"],
        },
        "Mounts": [
            {"Type": "volume", "Name": f"ironbinder-{name}-etcd", "Destination": "/var/lib/etcd"},
            {"Type": "bind", "Source": "/lib/modules", "Destination": "/lib/modules"},
            *(
                [{"Type": "bind", "Source": "/old/inventories/lab/.lab/srv", "Destination": "/srv/lab"}]
                if name == "mirror1"
                else []
            ),
        ],
    }


def volume(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"Name": name, "Labels": labels}


def network(labels: dict[str, str]) -> dict[str, Any]:
    return {"Name": "ironbinder", "Labels": {"ironbinder.lab": "network", **labels}}


def whole(labels: dict[str, str], running: bool = True, key: str = "ssh-ed25519 AAAA2") -> list[whose.Lab]:
    """A lab of two machines, as one checkout makes it."""
    return whose.labs_of(
        [container(name, labels, running, key) for name in ("head1", "mirror1")],
        [volume(f"ironbinder-{name}-etcd", labels or None) for name in ("head1", "mirror1")],
        [network(labels)],
    )


CASES = {
    # name: (labs, refused, removed by `clear`, removed by `down`, and with TAKE_OVER)
    "nothing": ([], False, 0, 0, 0),
    "ours, running": (whole(OURS), False, 0, 1, 0),
    "ours, stopped": (whole(OURS, running=False), False, 0, 1, 0),
    "another's, running": (whole(OTHER), True, 0, 0, 1),
    "another's, stopped": (whole(OTHER, running=False), False, 1, 1, 1),
    "older, with our key": (whole({}, key=KEY), False, 0, 1, 0),
    "older, with another's key, running": (whole({}), True, 0, 0, 1),
    "older, with another's key, stopped": (whole({}, running=False), False, 1, 1, 1),
    "of this path, whose id was lost": (
        whole({**OTHER, "ironbinder.lab.checkout": US.checkout}),
        *(False, 0, 1, 0),
    ),
}


@pytest.mark.parametrize(("labs", "refused", "cleared", "downed", "taken"), CASES.values(), ids=CASES.keys())
def test_what_may_be_done(
    labs: list[whose.Lab], refused: bool, cleared: int, downed: int, taken: int
) -> None:
    """A running lab of another checkout is left alone by every verb, unless somebody says otherwise."""
    assert bool(whose.refusals(labs, US, take_over=False)) is refused
    assert whose.refusals(labs, US, take_over=True) == []
    assert len(whose.may_remove(labs, US, False, ours=False)) == cleared
    assert len(whose.may_remove(labs, US, False, ours=True)) == downed
    assert len(whose.may_remove(labs, US, True, ours=False)) == taken
    assert len(whose.may_remove(labs, US, True, ours=True)) == len(labs)


@pytest.mark.parametrize(("labels", "path"), [(OTHER, "/home/you/ironbinder"), ({}, "/old")])
def test_the_refusal_names_the_other_checkout(labels: dict[str, str], path: str) -> None:
    """By its label; an older lab's by what its mirror sees."""
    [said] = whose.refusals(whole(labels), US, take_over=False)
    assert f"the lab of {path} runs on this computer (ironbinder-head1, ironbinder-mirror1)" in said
    assert "`make down` there" in said and "`make lab TAKE_OVER=yes` here" in said


def test_without_keys_of_our_own_no_older_lab_is_ours() -> None:
    """A fresh clone has no key, and neither has a machine that was made without one."""
    labs = whose.labs_of([container("head1", {}, key="")], [], [])
    assert not labs[0].is_ours(whose.Us("aaaaaaaaaaaa", "/home/me", ""))


def test_a_stopped_lab_goes_whole_and_nothing_else_does() -> None:
    """Containers before volumes before networks; other people's are not even looked at."""
    stranger = {
        "Name": "/web",
        "State": {"Running": True},
        "Config": {"Labels": {"ironbinder.lab": ""}, "Env": None},
    }
    none = {"Name": "/db", "State": {"Running": True}, "Config": {"Labels": None, "Env": None}}
    labs = whose.labs_of(
        [container("head1", OTHER, running=False), stranger, none],
        [
            volume("ironbinder-head1-etcd"),  # made by Docker itself, known by its user
            volume("ironbinder-worker1-disk"),  # of a machine that is gone
            volume("ironbinder-campus-files"),  # of no machine alone
            volume("ironbinder-worker1-data"),
            volume("postgres", {"com.example": "x"}),
        ],
        [{"Name": "bridge", "Labels": {}}, network(OTHER)],
    )
    docker = Docker()
    lines = whose.remove(whose.may_remove(labs, US, False, ours=False), docker)
    assert docker.calls == [
        ("rm", "--force", "--volumes", "ironbinder-head1"),
        ("volume", "rm", "--force", "ironbinder-head1-etcd"),
        ("network", "rm", "ironbinder"),
        ("volume", "rm", "--force", "ironbinder-worker1-disk", "ironbinder-campus-files"),
    ]
    assert lines[0] == "removed the lab of /home/you/ironbinder: 1 machines, 1 volumes, 1 networks"


def test_a_machine_that_is_made_gets_new_volumes() -> None:
    """The old container goes first, since it may be there and has to be made anew; the new volumes say whose they are."""
    docker = Docker()
    whose.fresh_volumes("head1", US, docker)
    names = [f"ironbinder-head1-{kind}" for kind in ("docker", "containerd", "kubelet", "etcd", "disk")]
    labels = (
        "--label",
        f"ironbinder.lab.owner={US.owner}",
        "--label",
        f"ironbinder.lab.checkout={US.checkout}",
    )
    assert docker.calls == [
        ("rm", "--force", "--volumes", "ironbinder-head1"),
        ("volume", "rm", "--force", *names),
        *(("volume", "create", *labels, name) for name in names),
    ]


def test_who_we_are_is_kept(tmp_path: Path) -> None:
    """One id for a checkout, made once, and the key without its comment."""
    state = tmp_path / "inventories" / "lab" / ".lab"
    first = whose.read_us(state, tmp_path)
    assert (first.key, first.checkout, len(first.owner)) == ("", str(tmp_path), 12)
    (state / "ssh").mkdir()
    (state / "ssh" / "id_ed25519.pub").write_text(f"{KEY} ironbinder-lab\n")
    second = whose.read_us(state, tmp_path)
    assert (second.owner, second.key) == (first.owner, KEY)
    assert whose.read_us(tmp_path / "other", tmp_path).owner != first.owner


@pytest.mark.parametrize(
    ("text", "yes"), [("yes", True), ("YES", True), ("1", True), ("", False), ("no", False)]
)
def test_is_yes(text: str, yes: bool) -> None:
    assert whose.is_yes(text) is yes


def test_the_volumes_of_machine_yml_are_those_that_are_renewed() -> None:
    """One that machine.yml names and `fresh` does not know would outlive its machine."""
    text = (Path(whose.__file__).parent / "tasks" / "machine.yml").read_text()
    named = {word.split(":")[0].strip("'-") for word in text.split() if word.startswith("'-")}
    assert named == set(whose._VOLUME_KINDS)
