# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""From a site as it was seen to the file and the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity import SitePlan, plan_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_site import (
    seen_nodes,
    session_of,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_table import render
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.capacity_values import (
    NAMES,
    ForeignFileError,
    capacity_values,
    file_text,
    own_values,
    set_elsewhere,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from site_cases import case, good_site
from site_data import SPECS

ORDINARY = {
    "values/site_session_memory_guarantee": "256M",
    "values/site_session_memory_limit": "2G",
    "values/site_session_cpu_guarantee": 0,
    "values/site_session_cpu_limit": 0,
    "values/site_session_ephemeral_storage_guarantee": "",
    "values/site_session_ephemeral_storage_limit": "",
}


def site(**changes: Any) -> Site:
    """The good site with changes, ways written with two underscores."""
    ways = {way.replace("__", "/"): content for way, content in changes.items()}
    return Site.from_data(case("", {**ORDINARY, **ways}).changed(good_site()))


def planned(seen: Site) -> SitePlan:
    return plan_site(seen_nodes(seen).machines, session_of(seen))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_nodes_are_what_was_seen() -> None:
    """Workers run sessions and hubs, as the head keeps kubeadm's taint; three stores on one file system are one."""
    machines = {machine.name: machine for machine in seen_nodes(site()).machines}
    assert list(machines) == ["head1", "worker1", "worker2"]
    assert [machines[name].runs_sessions for name in machines] == [False, True, True]
    assert [machines[name].runs_hubs for name in machines] == [False, True, True]
    [disk] = machines["worker1"].disks
    assert (disk.total_mib, sorted(disk.holds)) == (190734, ["containerd", "docker", "kubelet"])
    assert (machines["worker1"].memory_mib, machines["worker1"].processors) == (16000, 4.0)


def test_where_hubs_have_to_keep_to_core_nodes() -> None:
    """Then they tolerate the head's taint."""
    strict = seen_nodes(site(values__site_node_purpose_affinity="require")).machines
    assert [machine.runs_hubs for machine in strict] == [True, False, False]
    core = seen_nodes(site(hosts__worker2__variables__site_node_purposes=["core"])).machines
    both = seen_nodes(
        site(
            values__site_node_purpose_affinity="require",
            hosts__worker2__variables__site_node_purposes=["core", "user"],
        )
    ).machines
    # Its label says user.
    assert [machine.runs_hubs for machine in both] == [True, False, False]
    assert [(machine.runs_hubs, machine.runs_sessions) for machine in core] == [
        *((False, False), (False, True), (True, False))
    ]


def test_containers_of_one_computer_share_it() -> None:
    one = {f"hosts__{name}__probe__capacity__boot_id": "one" for name in ("head1", "worker1", "worker2")}
    machines = seen_nodes(site(**one)).machines
    assert {machine.memory_mib for machine in machines} == {5333}
    assert {round(machine.processors, 3) for machine in machines} == {1.333}
    assert {machine.disks[0].total_mib for machine in machines} == {63578}
    # A machine without an id is one of its own, and so is each of two.
    two = seen_nodes(site(hosts__head1__probe__capacity={}, hosts__worker1__probe__capacity={})).machines
    assert {machine.sharers for machine in two} == {1}


def test_nodes_that_were_not_seen_are_named() -> None:
    assert seen_nodes(site(hosts__worker1__state="unreachable")).unknown == ("worker1",)
    assert seen_nodes(site(hosts__worker1__facts={})).unknown == ("worker1",)
    assert seen_nodes(Site.from_data({})).machines == ()


def test_what_builds_may_take() -> None:
    """Of each node, as host_vars may say something else of one."""
    variable = "site_builds_memory_max_mib"
    seen = site(**{f"values__{variable}": 1024, f"hosts__worker2__variables__{variable}": 2048})
    told = [machine.wishes for machine in seen_nodes(seen).machines]
    assert [(one.builds_here, one.builds_memory_bytes >> 20) for one in told if one] == [
        *((False, 1024), (True, 1024), (True, 2048))
    ]
    plan = planned(seen)
    assert [node.builds_mib for node in plan.nodes] == [0, 1024, 2048]


def test_a_head_that_builds_is_counted() -> None:
    """Where builds may run on every node, the head keeps memory back for them, and has Docker."""
    plan = planned(site(values__site_build_node_selector={}))
    assert [node.builds for node in plan.nodes] == [1, 1, 1]
    assert plan.nodes[0].builds_mib == 4000 // 64 * 64
    assert plan.nodes[0].sessions == 0


def test_what_a_session_is() -> None:
    told = session_of(
        site(
            values__site_session_cpu_limit=1,
            values__site_session_cpu_guarantee="0.05",
            values__site_session_ephemeral_storage_limit="4Gi",
        )
    )
    assert (told.memory_mib, told.memory_limit_mib, told.millicores, told.disk_limit_mib) == (
        256,
        2048,
        50,
        4096,
    )
    # Kubernetes takes the limit for the request.
    assert session_of(site(values__site_session_cpu_limit=1)).millicores == 1000
    assert session_of(site(values__site_session_memory_limit={"odd": []})).memory_limit_mib == 0


def test_values_are_the_contracts() -> None:
    """All of them, each a whole number that its spec takes and no rule refuses."""
    seen = site()
    found = capacity_values(planned(seen), seen_nodes(seen).inotify)
    assert [value.name for value in found] == list(NAMES)
    assert {SPECS[value.name]["type"] for value in found} == {"int"}
    numbers = {value.name: value.number for value in found}
    plan = planned(seen)
    assert numbers["site_total_quota"] == plan.sessions > 30
    assert numbers["site_per_repo_quota"] == -(-plan.sessions // 2)
    assert (numbers["site_parallel_builds"], numbers["site_max_pods"]) == (2, 110)
    assert numbers["site_inotify_max_user_instances"] == 8192
    assert numbers["site_inotify_max_user_watches"] == 524288


def test_kernels_that_allow_more_keep_it() -> None:
    seen = site(
        hosts__worker2__probe__capacity__inotify={"max_user_instances": 128, "max_user_watches": 900_000}
    )
    found = {value.name: value.number for value in capacity_values(planned(seen), seen_nodes(seen).inotify)}
    assert found["site_inotify_max_user_watches"] == 900_000


def test_containers_leave_inotify_to_their_computer() -> None:
    changes = {
        f"hosts__{name}__facts__virtualization_type": "docker" for name in ("head1", "worker1", "worker2")
    }
    seen = site(**changes)
    names = [value.name for value in capacity_values(planned(seen), seen_nodes(seen).inotify)]
    assert [name for name in names if "inotify" in name] == []


def test_no_room_is_no_quota_of_none() -> None:
    """0 would set none at all."""
    seen = site(values__site_session_memory_guarantee="900G")
    found = capacity_values(planned(seen), {})
    assert [value.number for value in found[:2]] == [1, 1]


def test_the_file_is_yaml_with_its_reasons() -> None:
    seen = site()
    found = capacity_values(planned(seen), seen_nodes(seen).inotify)
    text = file_text(found)
    assert text.startswith("---\n# Written by `make capacity`")
    assert yaml.safe_load(text) == {value.name: value.number for value in found}
    assert max(map(len, text.splitlines())) <= 120
    assert all(" ".join(value.how.split()) in " ".join(text.replace("\n# ", " ").split()) for value in found)
    assert yaml.safe_load(file_text([])) is None


def test_what_the_inventory_sets_by_itself(tmp_path: Path) -> None:
    """A value of site.yml, of -e and of a file that Ansible reads before ours; not what our own file gave."""
    folder = tmp_path / "group_vars" / "all"
    folder.mkdir(parents=True)
    ours = folder / "capacity.yml"
    ours.write_text("# Written by `make capacity`\nsite_total_quota: 20\nsite_max_pods: 110\n")
    own = own_values(ours, load)
    assert own == {"site_total_quota": 20, "site_max_pods": 110}
    assert set_elsewhere({**own}, own, ours, load) == {}
    assert set_elsewhere({"site_total_quota": 9, "site_max_pods": 110}, own, ours, load) == {
        "site_total_quota": 9
    }
    # The same number, so that only the file tells.
    (folder / "site.yml").write_text("site_max_pods: 110\n")
    assert set_elsewhere({**own}, own, ours, load) == {"site_max_pods": 110}
    (folder / "a.yml").write_text("site_per_repo_quota: 5\n")
    assert set_elsewhere({**own}, own, ours, load) == {"site_max_pods": 110, "site_per_repo_quota": 5}
    (tmp_path / "group_vars" / "all.yml").write_text("site_parallel_builds: '{{ odd }}'\n")
    assert set_elsewhere({**own}, own, ours, load)["site_parallel_builds"] == 0


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "capacity.yml"
    assert own_values(path, load) == {}
    path.write_text("site_total_quota: 20\n")
    with pytest.raises(ForeignFileError, match=r"was not written by `make capacity`.*give it another name"):
        own_values(path, load)


def test_the_table_has_a_line_for_each_node_and_a_reason_for_each_number() -> None:
    seen = site()
    plan = planned(seen)
    found = capacity_values(plan, seen_nodes(seen).inotify)
    table = render(plan, found, {"site_total_quota": 7})
    lines = table.splitlines()
    assert max(map(len, lines)) <= 120
    rows = {line.split()[0]: line for line in lines[2:5]}
    assert set(rows) == {"head1", "worker1", "worker2"}
    assert "hubs, sessions" in rows[plan.carrier] and rows[plan.carrier].endswith("memory")
    [pool] = [line for line in lines if line.startswith("pool user")]
    assert f" {plan.sessions} " in pool and " 32000 " in pool
    flat = " ".join(table.split())
    for node in plan.nodes:
        if node.machine.runs_sessions:
            assert all(" ".join(bound.how.split()) in flat for bound in node.bounds)
    assert all(value.how in flat and f"{value.name} " in flat for value in found)
    assert "not written: the inventory sets 7" in flat


def test_a_plan_of_nothing_has_a_table() -> None:
    """No node, only a head, and hubs that fit nowhere."""
    empty = plan_site([], session_of(site()))
    assert "Values" in render(empty, capacity_values(empty, {}), {})
    seen = site(groups__workers=[])
    alone = planned(seen)
    assert "head, hubs, sessions" in render(alone, capacity_values(alone, {}), {})
    tight = planned(site(**{f"hosts__{name}__facts__memtotal_mb": 2100 for name in ("worker1", "worker2")}))
    assert tight.carrier == ""
    assert "no node has room for alone" in capacity_values(tight, {})[0].how
