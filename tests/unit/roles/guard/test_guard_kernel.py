# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the guard lets through and what not, by a real kernel: first without it, where everything answers."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Union

import pytest
from guard_api import GuardApi
from guard_node import NFT, PODS, Installed, Node, render, run, why_not
from ironbinder_guard.agent import ROUND_SECONDS

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "can be run")

Target = Union[tuple[str, str, int], tuple[str, str, int, str], tuple[str, str, int, str, int]]
# What everybody who is fenced needs, and the pods of a hub besides.
INTERNET: list[Target] = [
    ("tcp", "203.0.113.10", 443),
    ("udp", "203.0.113.10", 443),
    ("tcp", "203.0.113.10", 22),
]
PUBLIC: list[Target] = [("tcp", "172.30.77.31", 80)]
CLUSTER_DNS: list[Target] = [("udp", "10.96.0.10", 53), ("tcp", "10.96.0.10", 53)]
OPENED: list[Target] = [("tcp", "192.168.99.10", 443)]
BUILDS: list[Target] = [("tcp", "172.30.77.41", 443), ("tcp", "172.30.77.41", 80)]
NEEDS: dict[str, list[Target]] = {
    "session": [
        *INTERNET,
        *PUBLIC,
        *CLUSTER_DNS,
        *OPENED,
        ("tcp", "10.96.1.2", 8081),
        ("tcp", "172.30.77.101", 80),
    ],
    "other": [
        *INTERNET,
        *PUBLIC,
        *CLUSTER_DNS,
        *OPENED,
        ("tcp", "10.96.1.9", 8081),
        ("tcp", "172.30.77.102", 80),
    ],
    "build": [*INTERNET, *PUBLIC, *CLUSTER_DNS, *BUILDS],
    "run": [*INTERNET, *PUBLIC, *BUILDS, ("udp", "172.30.77.53", 53), ("tcp", "172.30.77.53", 53)],
    "stranger": [],
}
# What nobody who is fenced reaches.
CLOSED: list[Target] = [
    ("tcp", "172.30.77.11", 6443),  # the API, etcd, kubelets, SSH of machines
    ("tcp", "10.96.0.1", 443),
    ("tcp", "172.30.77.11", 2379),
    ("tcp", "172.30.77.21", 10250),
    ("tcp", "172.30.77.22", 10250),
    ("tcp", "172.30.77.21", 22),
    ("tcp", "172.30.77.22", 22),
    ("tcp", "172.30.77.31", 22),
    ("tcp", "10.244.1.1", 22),  # this node's other addresses
    ("tcp", "172.17.0.1", 22),
    ("tcp", "172.30.77.41", 5000),  # the registry
    ("tcp", "172.30.77.21", 30585),  # node ports
    ("tcp", "172.30.77.22", 30585),
    ("tcp", "10.96.1.3", 8001),  # the proxy's API, by its service and its pod
    ("tcp", "10.244.1.11", 8001),
    ("tcp", "10.244.1.10", 8081),
    ("tcp", "10.244.1.2", 9153),
    ("tcp", "10.244.1.21", 8888),  # sessions, here and on another node
    ("udp", "10.244.1.21", 8888),
    ("tcp", "10.244.2.5", 8888),
    ("tcp", "10.100.0.99", 80),  # nobody's service
    ("tcp", "169.254.169.254", 80),  # metadata, private and shared ranges, what the site denies
    ("tcp", "10.200.0.10", 80),
    ("udp", "10.200.0.10", 53),
    ("tcp", "192.168.99.10", 22),
    ("tcp", "100.64.0.10", 80),
    ("tcp", "198.18.0.10", 80),
    ("tcp", "203.0.113.200", 443),
    ("tcp", "203.0.113.150", 443),  # another hub's floating address that is public
    ("tcp", "203.0.113.10", 25),  # mail, and what else the site denies
    ("tcp", "203.0.113.10", 5000),
]
ALL: list[Target] = [*CLOSED, *sorted({target for told in NEEDS.values() for target in told})]
# Services that lead back to who asks, which needs more of kube-proxy than this node has.
OWN: dict[str, set[Target]] = {
    "dns": set(CLUSTER_DNS),
    "proxy": {("tcp", "10.96.1.3", 8001), ("tcp", "172.30.77.101", 80), ("tcp", "172.30.77.102", 80)},
}
# Well before the agent looks without having been told to.
SOON = ROUND_SECONDS * 0.8
IPV6: list[Target] = [("tcp", "fd00::6", 8888), ("tcp", "fd00::1", 22)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that the role's files were written to."""
    folder = tmp_path_factory.mktemp("guard")
    (folder / "render").mkdir()
    made = Node(Installed(folder / "root", render(folder / "render")))
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture
def bare(node: Node) -> Node:
    """The node without a table, as after its start."""
    node.guard("remove")
    node.installed.forget()
    for file in Path(node.installed.config["cni_config_dir"]).iterdir():
        file.unlink()
    kubeconfig(node).unlink(missing_ok=True)
    return node


def kubeconfig(node: Node) -> Path:
    """Where the kubelet's kubeconfig is."""
    return Path(node.installed.config["kubeconfig"])


@pytest.fixture
def api(bare: Node) -> Iterator[GuardApi]:
    """An API that the node can ask, with the hubs' services."""
    with GuardApi(bare.name("node")) as server:
        server.services = {"binder": "10.96.1.2", "second": "10.96.1.9"}
        kubeconfig(bare).parent.mkdir(parents=True, exist_ok=True)
        kubeconfig(bare).write_text(f"clusters:\n- cluster:\n    server: {server.url}\n")
        yield server


@pytest.fixture
def guarded(bare: Node, api: GuardApi) -> Node:
    """The node with its table and all pods told."""
    loaded = bare.guard("load")
    assert loaded.returncode == 0, loaded.stderr + loaded.stdout
    for name in PODS:
        code, told = bare.plug("ADD", name)
        assert code == 0, told
    return bare


def answers(node: Node, where: str, targets: list[Target]) -> set[Target]:
    """Which targets answer."""
    return {target for target, answered in zip(targets, node.reach(where, targets)) if answered}


@pytest.mark.parametrize("where", [*NEEDS, "dns", "proxy"])
def test_everything_answers_without_the_guard(bare: Node, where: str) -> None:
    """The control: what is closed later is closed by the guard alone."""
    targets = [
        target for target in (*ALL, *(IPV6 if where != "run" else [])) if target not in OWN.get(where, ())
    ]
    assert answers(bare, where, targets) == set(targets)


@pytest.mark.parametrize("where", list(NEEDS))
def test_each_reaches_what_it_needs_and_nothing_else(guarded: Node, where: str) -> None:
    targets = [*ALL, *(IPV6 if where != "run" else [])]
    assert answers(guarded, where, targets) == set(NEEDS[where])


def test_steps_of_builds_do_not_reach_each_other(bare: Node) -> None:
    other: list[Target] = [("tcp", "172.17.0.3", 80)]
    assert answers(bare, "run", other) == set(other)
    assert bare.guard("load").returncode == 0
    assert answers(bare, "run", other) == set()


def test_networks_of_docker_are_fenced_and_bridges_of_the_machine_are_not(bare: Node) -> None:
    """A machine may have its own network on a bridge called br-something: a fence there would lock everybody out."""
    targets: list[Target] = [("tcp", "172.30.77.21", 22), ("tcp", "10.200.0.10", 80), *INTERNET]
    for where in ("compose", "lan"):
        assert answers(bare, where, targets) == set(targets)
    assert answers(bare, "swarm", targets) == set(targets)
    assert bare.guard("load").returncode == 0
    assert answers(bare, "compose", targets) == answers(bare, "swarm", targets) == set(INTERNET)
    assert answers(bare, "lan", targets) == set(targets)
    assert bare.guard("check").stdout == ""


def test_the_program_needs_no_more_than_its_unit_gives(guarded: Node) -> None:
    """As a service it has two capabilities."""
    few = ["setpriv", "--bounding-set", "-all,+net_admin,+dac_read_search", "--no-new-privs"]
    guarded.execute("node", *few, *guarded.installed.program, "load")
    assert guarded.guard("check").stdout == ""


@pytest.mark.parametrize("where", ["dns", "proxy"])
def test_core_pods_and_other_namespaces_are_left_alone(guarded: Node, where: str) -> None:
    """But for service addresses that nobody has, and the node port."""
    closed: set[Target] = {("tcp", "10.100.0.99", 80), ("tcp", "172.30.77.21", 30585)}
    assert answers(guarded, where, ALL) == set(ALL) - closed - OWN[where]


def test_the_node_port_answers_the_proxy_only(guarded: Node) -> None:
    way = ("tcp", "172.30.77.21", 30585)
    assert answers(guarded, "outside", [(*way, "172.30.77.31"), (*way, "172.30.77.99")]) == {
        (*way, "172.30.77.31")
    }
    guarded.guard("remove")
    assert len(answers(guarded, "outside", [(*way, "172.30.77.31"), (*way, "172.30.77.99")])) == 2


def test_the_node_port_may_be_where_a_connection_leaves_from(guarded: Node) -> None:
    """Masquerading keeps the port that a pod chose, or takes a random one: an answer is not a question."""
    leaving: list[Target] = [("tcp", "203.0.113.10", 443, PODS["session"].address, 30585)]
    assert answers(guarded, "session", leaving) == set(leaving)


def test_addresses_that_no_service_has_never_leave_the_node(guarded: Node) -> None:
    """Nor from the node itself, where services that are there still answer."""
    nobody: Target = ("tcp", "10.100.0.99", 80)
    known: Target = ("tcp", "10.96.0.1", 443)
    assert answers(guarded, "node", [nobody, known]) == {known}
    guarded.guard("remove")
    assert answers(guarded, "node", [nobody, known]) == {nobody, known}


def test_pods_are_reached_by_those_who_serve_them(guarded: Node) -> None:
    """The proxy's pod and the node itself open connections to sessions."""
    target: list[Target] = [("tcp", PODS["session"].address, 8888)]
    assert answers(guarded, "proxy", target) == set(target)
    assert answers(guarded, "node", target) == set(target)


# A line that is left out, who then reaches or misses what.
LEFT_OUT: list[tuple[str, str, Target]] = [
    ("tcp dport 25 ", "session", ("tcp", "203.0.113.10", 25)),
    ("ip daddr @internal counter", "session", ("tcp", "100.64.0.10", 80)),
    ("ip daddr 169.254.0.0/16 counter", "session", ("tcp", "169.254.169.254", 80)),
    ("ip daddr @cluster counter", "session", ("tcp", "172.30.77.22", 10250)),
    ("        counter reject with icmpx admin-prohibited", "stranger", ("tcp", "203.0.113.10", 443)),
    ('"docker_gwbridge" } goto run', "run", ("tcp", "10.200.0.10", 80)),
    ('iifname "cni0" goto from_pods', "session", ("tcp", "172.30.77.21", 22)),
    ("ip daddr 10.96.0.0/12 counter", "dns", ("tcp", "10.100.0.99", 80)),
    ("fib daddr type local ip saddr", "proxy", ("tcp", "172.30.77.21", 30585)),
    ("@hub_api_binder ct original", "session", ("tcp", "10.96.1.2", 8081)),
    ("@cluster_dns ct original", "build", ("udp", "10.96.0.10", 53)),
]


@pytest.mark.parametrize(("line", "where", "target"), LEFT_OUT, ids=[line.strip() for line, _, _ in LEFT_OUT])
def test_a_rule_that_is_left_out_is_seen(guarded: Node, line: str, where: str, target: Target) -> None:
    """Every rule is needed: without it the matrix above is red at this place."""
    before = answers(guarded, where, [target])
    text = guarded.installed.rules
    assert line in text
    # Some lines close twice, by where a packet goes and by what it asked for: both have the words in them.
    kept = [entry for entry in text.splitlines() if line not in entry]
    guarded.installed.rules_file.write_text("\n".join(kept))
    assert guarded.guard("load").returncode == 0
    assert answers(guarded, where, [target]) != before


def test_a_flush_is_named_and_mended(guarded: Node) -> None:
    guarded.execute("node", NFT, "delete", "table", "inet", "ironbinder_guard")
    told = guarded.guard("check")
    assert (told.returncode, told.stdout) == (1, "the table inet ironbinder_guard is missing\n")
    assert guarded.guard("load").returncode == 0
    assert guarded.guard("check").stdout == ""
    assert answers(guarded, "session", ALL) == set(NEEDS["session"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("insert rule inet ironbinder_guard from_pods accept", "was changed by somebody else"),
        ("delete table bridge ironbinder_guard", "is missing"),
        ("flush chain inet ironbinder_guard internet", "was changed by somebody else"),
        ("delete element inet ironbinder_guard pods { 10.244.1.20 }", "address 10.244.1.20 is not known"),
        ("add element inet ironbinder_guard pods { 10.244.1.99 : accept }", "10.244.1.99 belongs to no pod"),
        ("flush set inet ironbinder_guard internal", "set internal does not hold 0.0.0.0/8"),
        (
            "add element inet ironbinder_guard public_url { 10.0.0.0/8 }",
            "set public_url does not hold 172.30.77.31",
        ),
    ],
)
def test_an_edited_table_is_named(guarded: Node, change: str, said: str) -> None:
    guarded.execute("node", NFT, change)
    told = guarded.guard("check", "--table")
    assert told.returncode == 1
    assert said in told.stdout


def test_what_others_do_to_their_tables_is_nothing_to_ours(guarded: Node) -> None:
    """iptables, and a Docker that starts anew, change tables of their own."""
    before = guarded.table()
    if shutil.which("iptables-restore"):
        rules = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n"
        guarded.execute("node", "iptables-restore", text=rules)
        guarded.execute("node", "iptables", "-F")
        guarded.execute("node", "iptables", "-t", "nat", "-N", "DOCKER")
    guarded.execute("node", NFT, "add table ip docker; delete table ip docker")
    assert guarded.table() == before
    assert guarded.guard("check").stdout == ""
    assert answers(guarded, "session", CLOSED) == set()


def test_a_bridge_that_filters_nothing_is_named(guarded: Node) -> None:
    try:
        guarded.execute("node", "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        told = guarded.guard("check")
        # The complaint is right: pods of one machine reach each other now.
        assert answers(guarded, "session", [("tcp", "10.244.1.21", 8888)])
    finally:
        guarded.execute("node", "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    assert told.returncode == 1
    assert "bridge-nf-call-iptables is 0" in told.stdout
    assert guarded.guard("check").returncode == 0


def test_the_plugin_forgets(guarded: Node) -> None:
    assert guarded.plug("DEL", "session") == (0, {})
    assert "10.244.1.20 :" not in guarded.table()
    assert answers(guarded, "session", [*INTERNET, *CLUSTER_DNS]) == set()
    # Once more, as containerd does after a restart.
    assert guarded.plug("DEL", "session") == (0, {})
    assert guarded.guard("check").stdout == ""


def test_an_address_that_went_to_another_pod_stays_that_ones(guarded: Node) -> None:
    """The old pod's DEL comes late, and takes nothing from the new one."""
    result = {"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.20/24"}]}
    assert guarded.plug("ADD", "build", prevResult=result)[0] == 0
    assert "10.244.1.20 : goto build" in guarded.table()
    guarded.plug("DEL", "session")
    assert "10.244.1.20 : goto build" in guarded.table()
    assert guarded.plug("CHECK", "build", prevResult=result)[0] == 0


@pytest.mark.skipif(not Path("/usr/sbin/conntrack").exists(), reason="apt-get install conntrack")
def test_connections_of_the_pod_before_are_not_inherited(guarded: Node) -> None:
    """The kernel remembers what a core pod asked by UDP for minutes, and its address may be a session's by then."""
    address = PODS["hub"].address
    asked: list[Target] = [("udp", "10.200.0.10", 53, address, 5555)]
    assert answers(guarded, "hub", asked) == set(asked)
    assert guarded.plug("ADD", "session", prevResult={"ips": [{"address": f"{address}/24"}]})[0] == 0
    assert f"{address} : goto session_binder" in guarded.table()
    assert answers(guarded, "hub", asked) == set()


def test_an_address_of_a_core_pod_is_taken_from_a_stranger(guarded: Node) -> None:
    assert guarded.plug("ADD", "stranger", prevResult={"ips": [{"address": "10.244.1.10/24"}]})[0] == 0
    assert "10.244.1.10 :" not in guarded.table()


def test_the_plugin_loads_a_table_that_is_missing(guarded: Node) -> None:
    guarded.guard("remove")
    assert guarded.plug("ADD", "session")[0] == 0
    assert guarded.guard("check").stdout == ""
    assert answers(guarded, "session", ALL) == set(NEEDS["session"])


def test_a_session_does_not_start_without_a_guard(bare: Node) -> None:
    """Closed where it matters: pods of other namespaces go on."""
    bare.installed.rules_file.write_text("table inet ironbinder_guard { nonsense }\n")
    code, told = bare.plug("ADD", "session")
    assert (code, told["code"]) == (1, 11)
    assert "pod binder/jupyter-ann is not let in, as the guard does not work" in told["msg"]
    code, told = bare.plug("ADD", "dns")
    assert (code, told["ips"]) == (0, [{"address": "10.244.1.2/24"}])


def test_the_agent_knows_pods_that_were_there_before_it(bare: Node, api: GuardApi) -> None:
    """And needs no API when it starts anew."""
    for name in ("session", "hub", "dns"):
        api.add(PODS[name].namespace, PODS[name].name, PODS[name].address)
    assert "with 3 pods" in bare.guard("load").stdout
    assert answers(bare, "session", ALL) == set(NEEDS["session"])
    api.close()
    assert "with 3 pods" in bare.guard("load").stdout
    assert answers(bare, "session", [("tcp", "10.96.1.2", 8081)])


class Running:
    """An agent at work."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.log = node.installed.folder / "agent.log"

    def __enter__(self) -> Running:
        self.process = self.node.start_agent(self.log)
        self.sees("put right")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0

    def sees(self, text: str, seconds: float = 60) -> float:
        """Wait until the agent says so, and give how long that took."""
        return wait_for(
            lambda: text in self.log.read_text(), f"the agent says {text!r}", seconds, said=self.log
        )


def wait_for(done: Callable[[], object], what: str, seconds: float = 60, said: Path | None = None) -> float:
    """Wait until a function gives something true. Where it never does, show what was `said` until then."""
    begun = time.monotonic()
    while not done():
        late = time.monotonic() - begun >= seconds
        assert not late, f"not in {seconds} s: {what}\n{said.read_text() if said else ''}"
        time.sleep(0.02)
    return time.monotonic() - begun


def test_the_agent_mends_a_flush_at_once(guarded: Node) -> None:
    """`nft flush ruleset` is what nftables.service does when it stops; so does `nft delete table`."""
    guarded.guard("remove")
    with Running(guarded) as agent:
        agent.log.write_text("")
        guarded.execute("node", NFT, "flush chain inet ironbinder_guard never")
        agent.sees("put right: the table inet ironbinder_guard was changed by somebody else", SOON)
        agent.log.write_text("")
        guarded.execute("node", NFT, "delete table inet ironbinder_guard")
        took = agent.sees("put right: the table inet ironbinder_guard is missing", SOON)
    print(f"mended after {took:.2f} s")
    assert answers(guarded, "session", ALL) == set(NEEDS["session"])


def test_a_bridge_of_the_machine_that_comes_later_is_left_alone_at_once(guarded: Node) -> None:
    guarded.guard("remove")
    with Running(guarded):
        guarded.ip("node", "link add br-later type bridge")
        wait_for(lambda: '"br-later"' in guarded.table(), "the new bridge is known", SOON)
        guarded.ip("node", "link del br-later")
        wait_for(lambda: '"br-later"' not in guarded.table(), "it is gone")


def test_a_full_disk_keeps_the_agent_from_nothing(guarded: Node, api: GuardApi) -> None:
    """What it cannot write it remembers: a flush is mended, and a hub's new address is opened."""
    guarded.guard("remove")
    state = Path(guarded.installed.config["state_dir"])
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(state))
    try:
        guarded.plug("ADD", "session")
        guarded.guard("remove")
        with Running(guarded) as agent:
            wait_for((state / "api.json").exists, "the agent asked the API")
            agent.log.write_text("")
            write_until_full(state / "more")
            api.services["binder"] = "10.96.1.9"
            api.event("services", "MODIFIED", "binder")
            guarded.execute("node", NFT, "delete table inet ironbinder_guard")
            # What it says of it depends on what it was about to do at that moment.
            wait_for(guarded.table, "the table is there again", said=agent.log)
            agent.sees("[Errno 28]")
            moved: list[Target] = [("tcp", "10.96.1.2", 8081), ("tcp", "10.96.1.9", 8081)]
            wait_for(lambda: answers(guarded, "session", moved) == {moved[1]}, "the hub's new address")
            # It is loaded once, and not again and again because nobody wrote down that it was. What it did it says later.
            said = ""
            while said != agent.log.read_text():
                said = agent.log.read_text()
                time.sleep(1)
            api.event("services", "MODIFIED", "binder")
            time.sleep(1)
            assert agent.log.read_text() == said
            (state / "more").unlink()
            api.event("services", "MODIFIED", "binder")
            wait_for(lambda: "10.96.1.9" in (state / "api.json").read_text(), "what the API said is written")
    finally:
        run("umount", str(state))


def write_until_full(file: Path) -> None:
    """Leave no room on a file system."""
    with file.open("wb", buffering=0) as opened, pytest.raises(OSError, match="No space"):
        while opened.write(b"x" * 4096):
            pass


def test_the_agent_follows_the_api(guarded: Node, api: GuardApi) -> None:
    """A hub's new address is opened, and a pod that is gone is forgotten."""
    guarded.guard("remove")
    with Running(guarded):
        api.services["binder"] = "10.96.1.9"
        api.event("services", "MODIFIED", "binder")
        moved: list[Target] = [("tcp", "10.96.1.2", 8081), ("tcp", "10.96.1.9", 8081)]
        wait_for(lambda: answers(guarded, "session", moved) == {moved[1]}, "the hub's new address")
        api.add("kube-system", "metrics-1", "10.244.1.60")
        wait_for(lambda: "10.244.1.60 : accept" in guarded.table(), "a pod of another namespace")
        api.remove("kube-system", "metrics-1")
        wait_for(lambda: "10.244.1.60" not in guarded.table(), "it is gone")


def test_a_pod_that_came_past_the_plugin_is_denied_and_named(guarded: Node, api: GuardApi) -> None:
    """Where the network's configuration names the plugin, a pod of a hub that it was not called for is nobody's."""
    conf = Path(guarded.installed.config["cni_config_dir"]) / "10-ironbinder.conflist"
    conf.write_text('{"plugins": [{"type": "bridge"}]}')
    assert "10-ironbinder.conflist does not name the network plugin" in guarded.guard("check").stdout
    conf.write_text('{"plugins": [{"type": "bridge"}, {"type": "ironbinder-guard"}]}')
    os.utime(conf, (1_000_000_000, 1_000_000_000))
    guarded.plug("DEL", "session")
    guarded.guard("remove")
    with Running(guarded) as agent:
        agent.sees("the API names 0 pods")
        api.add("binder", "jupyter-ann", "10.244.1.20")
        agent.sees("pod binder/jupyter-ann was connected without the network plugin")
        assert answers(guarded, "session", INTERNET) == set()
        told = guarded.guard("check")
        assert told.returncode == 1
        assert "binder/jupyter-ann was connected without" in told.stdout


def test_a_table_for_500_pods_loads_quickly(bare: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """How long is for people to read: the machine may be busy. The promise is a second."""
    records = Path(bare.installed.config["state_dir"]) / "pods"
    records.mkdir(parents=True)
    for number in range(500):
        address = f"10.244.1.{number % 250 + 2}" if number < 250 else f"10.244.2.{number - 248}"
        record = {
            "key": f"c{number}",
            "address": address,
            "namespace": "binder",
            "name": f"jupyter-{number}",
            "made": 1.0,
        }
        (records / f"c{number}.json").write_text(json.dumps(record))
    begun = time.monotonic()
    told = bare.guard("load").stdout.splitlines()[-1]
    whole = time.monotonic() - begun
    started = time.monotonic()
    assert bare.plug("ADD", "session")[0] == 0
    plugged = time.monotonic() - started
    with capsys.disabled():
        print(
            f"\n{told} ({whole:.3f} s with the program's start); the plugin took {plugged * 1000:.0f} ms with its start"
        )
    assert "with 500 pods" in told
    assert (
        run(
            "ip", "netns", "exec", bare.name("node"), NFT, "list", "map", "inet", "ironbinder_guard", "pods"
        ).count("goto")
        == 500
    )
