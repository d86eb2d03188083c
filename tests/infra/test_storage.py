# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What outlives a pod: a hub that restarts knows who runs what, sessions share a volume, and people find their files again."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://head"]

RESTART_SECONDS, START_SECONDS = 180, 180
USERNAME = "hub.jupyter.org/username"
# Prints what came of writing to a file.
WRITE = """
import errno, sys
try:
    with open(sys.argv[1], "w") as file:
        file.write(sys.argv[2])
    print("written")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
READ = "import sys; print(open(sys.argv[1]).read().strip())"

Kubectl = Callable[..., Any]
Eventually = Callable[..., Any]


@dataclass(frozen=True)
class Session:
    """A session that was launched: its pod, whose it is, and how it is reached."""

    pod: Mapping[str, Any]
    url: str
    token: str
    image: str

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def user(self) -> str:
        return str(self.pod["metadata"]["annotations"][USERNAME])


@pytest.fixture(scope="module")
def hub(site: Site) -> Mapping[str, Any]:
    """Return the site's first hub."""
    return next(iter(site.hubs.values()))


@pytest.fixture(scope="module")
def session(site: Site, client: Client, kubectl: Kubectl, hub: Mapping[str, Any]) -> Iterator[Session]:
    """Launch a session, and end it."""
    contract = site.contract
    url = f"{hub['binder_url']}build/{contract['site_verify_provider']}/{contract['site_verify_spec']}"
    ready: dict[str, Any] = {}
    for _, data in client.events(url):
        if str(data.get("phase", "")).lower() in ("ready", "failed", "failure"):
            ready = data
            break
    assert ready.get("phase") == "ready", ready
    try:
        told = kubectl(
            "--namespace", hub["namespace"], "get", "pods", "--selector", "component=singleuser-server"
        )
        # The launch's token is among the arguments, and in no other pod's.
        [pod] = [
            pod for pod in told["items"] if ready["token"] in json.dumps(pod["spec"]["containers"][0]["args"])
        ]
        yield Session(pod, ready["url"], ready["token"], pod["spec"]["containers"][0]["image"])
    finally:
        client.send("POST", f"{ready['url']}api/shutdown", {"Authorization": f"token {ready['token']}"})


class Api:
    """A hub's API, as its service `binder` may use it."""

    def __init__(self, site: Site, client: Client, name: str) -> None:
        self.client, self.hub = client, site.hubs[name]
        self.headers = {"Authorization": f"token {site.contract['site_hub_api_tokens'][name]}"}

    def ask(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        """Return status and answer."""
        data = json.dumps(body).encode() if body else None
        answer = self.client.send(method, f"{self.hub['hub_url']}hub/api/{path}", self.headers, data)
        return answer.status, answer.json() if answer.body.startswith((b"{", b"[")) else None

    def servers(self, user: str) -> dict[str, Any]:
        """Return the servers of a user that the hub knows; none of a user whom it does not know."""
        status, told = self.ask("GET", f"users/{user}")
        return dict(told["servers"]) if status == 200 else {}


def execute(kubectl: Kubectl, namespace: str, pod: str, script: str, *arguments: str) -> str:
    """Run a Python script in a pod."""
    command = ["--namespace", namespace, "exec", pod, "--", "python3", "-c", script, *arguments]
    return str(kubectl(*command, output="")).strip()


@pytest.fixture(scope="module")
def api(site: Site, client: Client) -> Api:
    """The API of the first hub, whose database is on a volume."""
    if site.contract["site_hub_database"] != "sqlite-pvc":
        pytest.skip("site_hub_database keeps nothing")
    return Api(site, client, next(iter(site.hubs)))


def test_a_hub_that_restarts_knows_who_runs_what(
    kubectl: Kubectl, eventually: Eventually, hub: Mapping[str, Any], session: Session, api: Api
) -> None:
    """Its database is on a volume. The session goes on all the while, and can be reached and ended afterwards."""
    assert [server["ready"] for server in api.servers(session.user).values()] == [True]
    selector = ("--namespace", hub["namespace"], "get", "pods", "--selector", "component=hub")
    [before] = [pod["metadata"]["uid"] for pod in kubectl(*selector)["items"]]
    kubectl("--namespace", hub["namespace"], "delete", "pods", "--selector", "component=hub", output="")

    def still_away() -> list[str]:
        pods = [pod for pod in kubectl(*selector)["items"] if pod["metadata"]["uid"] != before]
        conditions = [entry for pod in pods for entry in pod.get("status", {}).get("conditions", [])]
        ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
        # The proxy learns of the new hub a moment later.
        return [] if ready and api.ask("GET", "")[0] == 200 else ["the hub is not back"]

    assert eventually(still_away, seconds=RESTART_SECONDS) == []
    assert [server["ready"] for server in api.servers(session.user).values()] == [True]
    answer = api.client.get(f"{session.url}api/status", {"Authorization": f"token {session.token}"})
    assert answer.status == 200
    pod = kubectl("--namespace", hub["namespace"], "get", "pod", session.name)
    assert pod["metadata"]["uid"] == session.pod["metadata"]["uid"]


def test_databases_are_where_the_site_says(site: Site, kubectl: Kubectl, hub: Mapping[str, Any]) -> None:
    """In its class, and on a volume that stays whatever becomes of the claim."""
    if (
        site.contract["site_storage"].get("kind") != "local"
        or site.contract["site_hub_database"] != "sqlite-pvc"
    ):
        pytest.skip("databases are in no folder of a node")
    claim = kubectl("--namespace", hub["namespace"], "get", "persistentvolumeclaim", "hub-db-dir")
    assert claim["status"]["phase"] == "Bound"
    volume = kubectl("get", "persistentvolume", claim["spec"]["volumeName"])
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["storageClassName"] == claim["spec"]["storageClassName"]


def test_no_class_is_the_default(site: Site, kubectl: Kubectl) -> None:
    """A claim of somebody else's that names no class would end in ours."""
    if site.contract["site_storage"].get("kind") != "local":
        pytest.skip("the site has no classes of ours")
    classes = [
        item
        for item in kubectl("get", "storageclasses")["items"]
        if item["metadata"]["name"].startswith("ironbinder-")
    ]
    assert classes
    assert {item["reclaimPolicy"] for item in classes} == {"Retain"}
    assert [
        item["metadata"]["name"]
        for item in classes
        if "true"
        in (item["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class", "")
    ] == []


@pytest.fixture(scope="module")
def shared(hub: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the first hub's sessions share, with every default."""
    if not hub["shared_volume"].get("claim"):
        pytest.skip("the hub shares no volume")
    return {"mount_path": "/home/jovyan/shared", "read_only": True, **hub["shared_volume"]}


def test_sessions_read_what_they_share(
    host: Any, kubectl: Kubectl, hub: Mapping[str, Any], session: Session, shared: Mapping[str, Any]
) -> None:
    """Somebody who may puts a file there; a session reads it, and can neither change it nor add to it."""
    claim = kubectl("--namespace", hub["namespace"], "get", "persistentvolumeclaim", shared["claim"])
    assert claim["status"]["phase"] == "Bound", "a session runs, and has it"
    volume = kubectl("get", "persistentvolume", claim["spec"]["volumeName"])["spec"]
    folder = volume.get("hostPath", {}).get("path")
    if not folder or volume.get("nodeAffinity"):
        pytest.skip("the volume is no folder that the head has, too")
    name, text = f"ironbinder-test-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    host.check_output("printf %%s %s > %s && chmod 0666 %s", text, f"{folder}/{name}", f"{folder}/{name}")
    try:
        there = f"{shared['mount_path']}/{name}"
        assert execute(kubectl, hub["namespace"], session.name, READ, there) == text
        said = execute(kubectl, hub["namespace"], session.name, WRITE, there, "other")
        assert said == ("EROFS" if shared["read_only"] else "written")
        added = execute(kubectl, hub["namespace"], session.name, WRITE, f"{there}-2", "more")
        assert added == ("EROFS" if shared["read_only"] else "written")
        told = host.check_output("cat %s", f"{folder}/{name}")
        assert told == (text if shared["read_only"] else "other")
    finally:
        host.check_output("rm -f %s %s", f"{folder}/{name}", f"{folder}/{name}-2")


class People:
    """Users of a hub with volumes for each, who are there for the test and leave nothing behind."""

    def __init__(self, site: Site, client: Client, kubectl: Kubectl, name: str, image: str) -> None:
        self.api, self.kubectl, self.image = Api(site, client, name), kubectl, image
        self.namespace = site.hubs[name]["namespace"]
        self.path = site.hubs[name]["user_volumes"].get("mount_path") or "/home/jovyan/work"
        self.names = [f"ironbinder-test-{who}-{uuid.uuid4().hex[:6]}" for who in ("ana", "ben")]

    def start(self, user: str) -> str:
        """Start a user's server, and return its pod's name."""
        status, told = self.api.ask("POST", f"users/{user}/server", image=self.image, token=uuid.uuid4().hex)
        assert status in (201, 202), told
        deadline = time.monotonic() + START_SECONDS
        while not any(server["ready"] for server in self.api.servers(user).values()):
            assert time.monotonic() < deadline, f"the server of {user} is not ready after {START_SECONDS} s"
            time.sleep(1)
        [pod] = self.pods(user)
        return str(pod["metadata"]["name"])

    def stop(self, user: str) -> None:
        """Stop it, and wait until its pod is gone."""
        self.api.ask("DELETE", f"users/{user}/server")
        deadline = time.monotonic() + START_SECONDS
        while self.pods(user):
            assert time.monotonic() < deadline, f"the pod of {user} is still there"
            time.sleep(1)

    def pods(self, user: str) -> list[dict[str, Any]]:
        told = self.kubectl(
            "--namespace", self.namespace, "get", "pods", "--selector", "component=singleuser-server"
        )
        return [pod for pod in told["items"] if pod["metadata"]["annotations"].get(USERNAME) == user]

    def claims(self, user: str) -> list[dict[str, Any]]:
        told = self.kubectl("--namespace", self.namespace, "get", "persistentvolumeclaims")["items"]
        return [item for item in told if item["metadata"].get("annotations", {}).get(USERNAME) == user]

    def forget(self) -> None:
        """Remove the users and then, as only a person would, their claims and volumes."""
        for user in self.names:
            self.stop(user)
            self.api.ask("DELETE", f"users/{user}")
            for claim in self.claims(user):
                name, volume = claim["metadata"]["name"], claim["spec"].get("volumeName")
                self.kubectl(
                    "--namespace", self.namespace, "delete", "persistentvolumeclaim", name, output=""
                )
                if volume:
                    self.kubectl("delete", "persistentvolume", volume, output="")


@pytest.fixture(scope="module")
def people(site: Site, client: Client, kubectl: Kubectl, session: Session) -> Iterator[People]:
    names = [
        name
        for name, hub in site.hubs.items()
        if hub["user_volumes"].get("enabled", bool(hub["user_volumes"]))
    ]
    if not names or site.contract["site_storage"].get("kind") == "nfs":
        pytest.skip("no hub has a claim for each user")
    made = People(site, client, kubectl, names[0], session.image)
    for user in made.names:
        assert made.api.ask("POST", f"users/{user}")[0] == 201
    try:
        yield made
    finally:
        made.forget()


def test_people_find_their_files_again(people: People, kubectl: Kubectl) -> None:
    """In the next session, and nobody else does; also when the hub has forgotten the user."""
    ana, ben = people.names
    file, text = f"{people.path}/kept.txt", uuid.uuid4().hex
    pod = people.start(ana)
    assert execute(kubectl, people.namespace, pod, WRITE, file, text) == "written"
    people.stop(ana)
    pod = people.start(ana)
    assert execute(kubectl, people.namespace, pod, READ, file) == text
    other = people.start(ben)
    seen = execute(
        kubectl, people.namespace, other, "import os, sys; print(os.listdir(sys.argv[1]))", people.path
    )
    assert "kept.txt" not in seen
    people.stop(ana)
    assert people.api.ask("DELETE", f"users/{ana}")[0] == 204
    [claim] = people.claims(ana)
    assert "deletionTimestamp" not in claim["metadata"]
    assert people.api.ask("POST", f"users/{ana}")[0] == 201
    pod = people.start(ana)
    assert execute(kubectl, people.namespace, pod, READ, file) == text
