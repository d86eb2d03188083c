# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every option of every role reaches it from the contract, by a playbook; or it is internal, for a reason said here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.renamed import RENAMED

ROOT = Path(__file__).parents[2]
PREFIX = "ironbinder.platform."
# A value of the contract, and nothing else.
PLAIN = re.compile(r"\{\{ (site_\w+|artifact_\w+) \}\}")

# Options that no inventory has a reason to set, though each may be, as no playbook says otherwise.
INTERNAL = {
    "containerd_systemd_cgroup_enabled": "follows the machine's init; the kubelet is told the same",
    "cluster_client_cache_dir": "the cache of whoever runs Ansible, a folder for each Python and set of versions",
    "cluster_client_packages": "what the modules import",
    "cluster_nodes_labels_not_on_all": "what MetalLB needs of a cluster on which every node is a head",
    "guard_pods_bridge": "the bridge that role pod_network makes",
    "helm_dir": "the cache of whoever runs helm, one folder a version",
    "metallb_manifest_checksum": "the role knows the digest of each version that Ironbinder pins",
}


def read(path: Path) -> Any:
    """A YAML file of ours."""
    return yaml.safe_load(path.read_text())


def defaults(role: str) -> dict[str, Any]:
    """A role's defaults."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "roles" / role / "defaults").rglob("*.yml")):
        found |= read(path)
    return found


CONTRACT = defaults("site")


def roles() -> list[str]:
    """Every role but the contract's own."""
    return sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir() and path.name != "site")


def options(role: str) -> dict[str, Any]:
    """What all entry points of a role may be told."""
    found: dict[str, Any] = {}
    for entry in read(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"].values():
        found |= entry.get("options") or {}
    return found


def uses(data: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every use of a role in a playbook, as (role, vars), by `roles:`, `include_role` or `import_role`."""
    if isinstance(data, list):
        for entry in data:
            yield from uses(entry)
    elif isinstance(data, dict):
        for key in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            if isinstance(data.get(key), dict):
                yield str(data[key]["name"]), data.get("vars") or {}
        if isinstance(data.get("role"), str):
            yield data["role"], data.get("vars") or {}
        for value in data.values():
            yield from uses(value)


def wired() -> dict[str, str]:
    """What playbooks tell roles: {option: expression}."""
    found: dict[str, str] = {}
    for book in sorted((ROOT / "playbooks").rglob("*.yml")):
        for role, told in uses(read(book)):
            assert role.startswith(PREFIX), f"{book.name} names {role} without its collection"
            found |= {name: str(value) for name, value in told.items()}
    return found


WIRED = wired()


def test_every_option_is_wired_or_internal() -> None:
    """An option that is neither cannot be set by a site, and its typos are not found."""
    lost = [name for role in roles() for name in options(role) if name not in WIRED and name not in INTERNAL]
    assert lost == []


def test_what_is_internal_is_there_and_not_wired() -> None:
    """A reason for what is no longer so misleads."""
    known = {name for role in roles() for name in options(role)}
    assert {name for name in INTERNAL if name not in known or name in WIRED} == set()


def test_playbooks_tell_roles_what_they_know() -> None:
    """A misspelt variable would reach nobody."""
    known = {name for role in roles() for name in options(role)}
    assert {name for name in WIRED if name not in known} == set()


def test_playbooks_read_what_the_contract_has() -> None:
    """And a misspelt value would be undefined in the middle of a run."""
    names = {name for value in WIRED.values() for name in re.findall(r"\b(?:site|artifact)_\w+", value)}
    assert names <= set(CONTRACT)


def test_defaults_are_the_same_on_both_sides() -> None:
    """A role that is used without the contract does what it does with it."""
    differing = {}
    for role in roles():
        own = defaults(role)
        for name in options(role):
            plain = PLAIN.fullmatch(WIRED.get(name, ""))
            if not plain or name not in own:
                continue
            theirs, ours = own[name], CONTRACT[plain.group(1)]
            computed = any(isinstance(value, str) and "{{" in value for value in (theirs, ours))
            # What is empty in a role that never guesses is filled in by the contract.
            if theirs != ours and not computed and theirs not in ("", [], {}):
                differing[name] = (theirs, ours)
    assert differing == {}


def test_a_kubelet_is_told_how_many_pods() -> None:
    """Its settings come from several values of the contract, of which none may be lost."""
    assert "'maxPods': site_max_pods" in WIRED["kubernetes_node_kubelet_settings"]


def test_a_registry_without_a_port_has_the_same_one_everywhere() -> None:
    """Plain HTTP is at 80 and TLS at 443, and one filter knows it."""
    for name in ("registry_host", "registry_port", "fence_check_registry"):
        assert "registry_address(site_registry_plain_http_enabled)" in WIRED[name]


def test_old_names_lead_to_what_is_wired() -> None:
    """The migration note names an option of a role, and the value of the contract that it gets."""
    known = {name for role in roles() for name in options(role)}
    for old, new in RENAMED.items():
        assert new in CONTRACT, old
        # An option that went into another role has another name there.
        assert (WIRED[old] if old in known else f"{{{{ {new} }}}}") == f"{{{{ {new} }}}}", old
        assert f"{{{{ {new} }}}}" in WIRED.values(), old


def test_new_tuning_has_a_migration_note() -> None:
    """Whoever set the role's variable is told the new name."""
    tuning = set(read(ROOT / "roles/site/defaults/main/tuning.yml"))
    # No inventory could set these before they were in the contract.
    new = {"reverse_proxy_metrics_allowed", "cluster_nodes_ready_timeout_seconds", "fence_check_report_file"}
    # Nor those of a role that came later.
    new |= {"guard_cni_bin_dir", "guard_cni_config_dir", "pod_network_cni_config_dir"}
    new |= {"storage_ready_timeout_seconds"}
    for name, value in WIRED.items():
        plain = PLAIN.fullmatch(value)
        if plain and plain.group(1) in tuning and name not in new:
            assert name in RENAMED, name


def test_supported_systems_have_their_variables() -> None:
    """Role node has a file for each system, and for no other; and people read the same names."""
    systems = CONTRACT["site_supported_systems"]
    files = {path.stem for path in (ROOT / "roles/node/vars").glob("*_*.yml")}
    assert {re.sub(r" (\d+).*", r"_\1", system) for system in systems} == files
    for path in ("README.md", "roles/node/README.md"):
        text = " ".join((ROOT / path).read_text().split())
        for system in systems:
            assert system in text or system.rpartition(" ")[2] in text, f"{path} does not name {system}"
    own = [
        path
        for path in (ROOT / "plugins").rglob("*.py")
        if re.search(r"Ubuntu.{0,4}24|Debian 12", path.read_text())
    ]
    assert own == []


def tasks(data: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, those in blocks, too."""
    for entry in data or []:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part))


def test_whoever_talks_to_the_cluster_has_the_packages() -> None:
    """The client host may be a head, whose own Python has none: each such task names the Python of role cluster_client."""
    modules = {
        PREFIX + path.stem
        for path in (ROOT / "plugins/modules").glob("*.py")
        if re.search(r"^from \S+_kube\.api import .*\bconnect\b", path.read_text(), re.MULTILINE)
    }
    found = {}
    for path in sorted((ROOT / "roles").glob("*/tasks/*.yml")):
        for task in tasks(read(path)):
            host = re.fullmatch(r"\{\{ (\w+)_client_host \}\}", str(task.get("delegate_to")))
            if host and modules & set(task):
                python = (task.get("vars") or {}).get("ansible_python_interpreter")
                found[f"{path.parts[-3]}: {task['name']}"] = (host[1], python)
    assert len(found) > 5
    assert {
        task: python for task, (role, python) in found.items() if python != f"{{{{ {role}_client_python }}}}"
    } == {}
    for role in {role for role, _ in found.values()}:
        own = f"hostvars[{role}_client_host].ansible_python_interpreter | default('auto_silent', true)"
        assert defaults(role)[f"{role}_client_python"] == f"{{{{ {own} }}}}"
        assert WIRED[f"{role}_client_python"] == "{{ site_client_python }}"


def test_packages_come_with_lists_a_proxy_and_a_ledger() -> None:
    """apt of a fresh machine has no lists, and behind a proxy no way out: held_packages and a group of files see to it."""
    files = {path: list(tasks(read(path))) for path in sorted((ROOT / "roles").glob("*/tasks/*.yml"))}
    plain = [
        f"{path.parts[-3]}: {task['name']}"
        for path, told in files.items()
        for task in told
        if "name" in (task.get("ansible.builtin.apt") or {})
    ]
    assert plain == []
    # The rest comes after role node, or cannot be without one of these.
    first = {"node", "firewall", "registry", "reverse_proxy"}
    for role in first:
        assert f"{role}_http_proxy_environment" in WIRED, role
    installing = {
        path.parts[-3]
        for path, told in files.items()
        if any(PREFIX + "held_packages" in task for task in told)
    }
    assert installing - first == {"containerd", "docker", "kubernetes_node"}


@pytest.mark.parametrize("role", ["node", "firewall", "registry", "reverse_proxy"])
def test_a_proxy_that_is_gone_is_taken_from_apt(role: str) -> None:
    """A task that is skipped without a proxy leaves the old one, and its account, in apt's configuration."""
    group = f"__{role}_apt_proxy_files"
    variables = read(ROOT / "roles" / role / "vars/main.yml")
    # Role node gathers its groups in variables.
    lists = {group} | {name for name, value in variables.items() if group in str(value)}
    lists |= {name for name, value in variables.items() if any(f"{known} " in str(value) for known in lists)}
    told = [
        task
        for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
        for task in tasks(read(path))
        if any(name in str(task.get(PREFIX + "managed_files")) for name in lists)
    ]
    assert [task["name"] for task in told if "when" not in task] != []
