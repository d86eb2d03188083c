# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The machines of a large site are asked for their addresses once in a run, and not by each of them at each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.ironbinder.platform.plugins.filter import node_addresses as door
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import once

HOSTS = ["head1", "worker1", "worker2"]
INVENTORY = """
all:
  vars: {prefix: 192.0.2}
  hosts:
    head1: {ansible_host: 192.0.2.11}
    worker1: {ansible_host: 198.51.100.21, site_node_address: 192.0.2.21}
    worker2: {ansible_host: "%s"}
"""


class Site:
    """Ansible's own variables of hosts, which counts how often it put those of one together."""

    def __init__(self, folder: Path, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.asked = folder, 0
        (folder / "hosts.yml").write_text(INVENTORY % last)
        loader = DataLoader()
        inventory = InventoryManager(loader, [str(folder / "hosts.yml")])
        manager = VariableManager(loader, inventory)
        get_vars = manager.get_vars

        def counted(*arguments: Any, **named: Any) -> Any:
            self.asked += 1
            return get_vars(*arguments, **named)

        monkeypatch.setattr(manager, "get_vars", counted)
        monkeypatch.setattr(once, "run_folder", lambda: folder / "run")
        self.hostvars = HostVars(inventory, manager, loader)

    def addresses(self, hosts: list[str] | None = None) -> dict[str, str]:
        """As the filter gives them."""
        return door.FilterModule().filters()["node_addresses"](hosts or HOSTS, self.hostvars)


def test_machines_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, "192.0.2.22", monkeypatch)
    wanted = {"head1": "192.0.2.11", "worker1": "192.0.2.21", "worker2": "192.0.2.22"}
    assert site.addresses() == wanted
    asked = site.asked
    assert asked
    assert list(site.addresses().items()) == list(wanted.items())
    assert site.asked == asked
    # Others are another question.
    assert site.addresses(["worker2", "head1"]) == {"worker2": "192.0.2.22", "head1": "192.0.2.11"}


def test_what_a_run_may_find_out_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template may read facts, which are not there at first."""
    site = Site(tmp_path, "{{ ansible_facts.found | default(prefix ~ '.22') }}", monkeypatch)
    assert site.addresses()["worker2"] == "192.0.2.22"
    asked = site.asked
    assert site.addresses()["worker2"] == "192.0.2.22"
    assert site.asked > asked


def test_a_folder_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, "192.0.2.22", monkeypatch)
    (tmp_path / "run").write_text("no folder")
    assert site.addresses()["worker1"] == "192.0.2.21"
