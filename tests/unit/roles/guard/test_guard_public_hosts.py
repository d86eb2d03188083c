# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The hosts of public URLs that the guard opens, of the site and of hubs with names of their own."""

from __future__ import annotations

from pathlib import Path

from guard_node import VARIABLES, Installed, render


def test_each_host_is_opened_once(tmp_path: Path) -> None:
    own = {
        "binder": "https://binder.example.org",
        "second-hub": "https://private.example.org",
        "third": "https://Private.example.org/",
    }
    hubs = {name: {**hub, "public_url": own[name]} for name, hub in VARIABLES["guard_hubs"].items()}
    # Of hubs of somebody else nobody knows a URL.
    hubs["other"] = VARIABLES["guard_hubs"]["third"]
    variables = {**VARIABLES, "guard_public_url": "https://binder.example.org/", "guard_hubs": hubs}
    (tmp_path / "render").mkdir()
    told = Installed(tmp_path / "installed", render(tmp_path / "render", variables)).config
    assert told["sets"]["public_url"] == ["binder.example.org", "private.example.org"]


def test_a_site_with_one_name_has_one(tmp_path: Path) -> None:
    (tmp_path / "render").mkdir()
    told = Installed(tmp_path / "installed", render(tmp_path / "render")).config
    assert told["sets"]["public_url"] == ["172.30.77.31"]
