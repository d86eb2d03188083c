# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Put together on the controller how a site stands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically
from ansible_collections.ironbinder.platform.plugins.module_utils._net.tls import served_certificate
from ansible_collections.ironbinder.platform.plugins.module_utils._net.x509 import CertificateError, not_after
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import sign_in
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import sort_findings
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site, as_mapping, as_text
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry import registry_address
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.registry_kinds import endpoint
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import check_rules, rules_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rules import upkeep
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.status import Look, as_data, render
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.upkeep import Certificate, judge
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.values import SiteValues, plain

OPTIONS = {
    "machines_variable": {"type": "str", "default": "status_machine"},
    "cluster_variable": {"type": "str", "default": "status_cluster"},
    "report_file": {"type": "path"},
}


class ActionModule(ActionBase):
    """Collects what was registered, asks two ports, and writes a table."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give the table and the data; no fault of the site makes it fail."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        try:
            look = _look(SiteValues(self._loader, self._templar, task_vars or {}), options)
            if options["report_file"] and not self._task.check_mode:
                text = json.dumps(as_data(look), indent=2, sort_keys=True) + "\n"
                write_atomically(Path(options["report_file"]), text, mode=0o644)
        except (AnsibleError, OSError, yaml.YAMLError) as error:
            told = f"the site could not be read or its status not written: {' '.join(str(error).split())}"
            return {**result, "failed": True, "msg": told}
        return {**result, "changed": False, "table": render(look), "status": as_data(look)}


def _look(values: SiteValues, options: Mapping[str, Any]) -> Look:
    now = time.time()
    lost: list[str] = []
    nodes = dict.fromkeys(values.groups.get("head", []) + values.groups.get("workers", []))
    machines: dict[str, Mapping[str, Any]] = {}
    cluster: Mapping[str, Any] = {}
    kubeconfig: Any = None
    for host in nodes:
        told = _registered(values, host, options["machines_variable"])
        machines[host] = as_mapping(told.get("upkeep"))
        if not machines[host]:
            lost.append(f"{host}: {_why(told)}")
        # Asked once, and registered with every host.
        asked = _registered(values, host, options["cluster_variable"])
        if asked.get("cluster"):
            cluster, kubeconfig = as_mapping(asked["cluster"]), asked.get("kubeconfig_not_after")
    if not cluster and nodes:
        lost.append(f"the API: {_why(_registered(values, next(iter(nodes)), options['cluster_variable']))}")
    others: dict[str, Certificate] = {}
    if isinstance(kubeconfig, (int, float)):
        place, file = (
            as_text(values.find("site_kubernetes_client_host")),
            str(values.find("site_kubeconfig_file")),
        )
        others[place] = judge("kubeconfig", float(kubeconfig), now, file=file)
    for name, host, port in _ports(values):
        try:
            others[f"{host}:{port}"] = judge(
                name, not_after(served_certificate(host, port)), now, served="same", port=port
            )
        except (OSError, CertificateError) as error:
            lost.append(f"the certificate of {host}:{port}: {error}")
    hubs = {
        name: as_mapping(hub)
        for name, hub in as_mapping(values.find("site_resolved_hubs", default={})).items()
    }
    site = Site.from_data(
        {
            "clock": now,
            "values": {upkeep.LATE: values.find(upkeep.LATE)},
            "groups": values.groups,
            "hosts": {host: _as_seen(told) for host, told in machines.items() if told},
        }
    )
    return Look(
        name=as_text(values.find("site_name")),
        now=now,
        machines=machines,
        cluster=cluster,
        urls={name: as_text(hub.get("binder_url")) for name, hub in hubs.items()},
        sign_in={name: _sign_in(hub) for name, hub in hubs.items()},
        pool=str(values.find("site_floating_pool")),
        others=others,
        lost=lost,
        findings=sort_findings(check_rules(rules_of(upkeep), site)),
    )


def _sign_in(hub: Mapping[str, Any]) -> dict[str, str]:
    """Give how people sign in to a hub, with what to register at its provider."""
    known = sign_in.has_provider(hub)
    kind = as_text(as_mapping(hub.get("auth")).get("kind"))
    return {"kind": kind, "callback_url": as_text(hub.get("callback_url")) if known else ""}


def _as_seen(told: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a machine as the rules see it; whoever asks how a site stands has one that works."""
    return {
        "state": "seen",
        "probe": {"upkeep": told, "kubernetes": {"joined": True}, "cluster": {"source": "api"}},
    }


def _registered(values: SiteValues, host: str, variable: str) -> Mapping[str, Any]:
    return as_mapping(plain(values.raw(host).get(variable)))


def _why(told: Mapping[str, Any]) -> str:
    return " ".join(as_text(told.get("msg")).split()) or "was not asked: is it left out by --limit?"


def _ports(values: SiteValues) -> Iterator[tuple[str, str, int]]:
    """Give (purpose, host, port) of what speaks TLS beside the cluster."""
    try:
        hubs = as_mapping(values.find("site_resolved_hubs", default={}))
        own = (as_text(as_mapping(hub).get("public_url")) for hub in hubs.values())
        # Hubs may have names of their own, each with its certificate.
        hosts: dict[str, SplitResult] = {}
        for public in map(urlsplit, (as_text(values.find("site_public_url")), *own)):
            if public.scheme == "https" and public.hostname:
                hosts.setdefault(public.hostname, public)
        for host, public in hosts.items():
            yield "public URL", host, public.port or 443
        at = as_text(values.find("site_registry_host"))
        if at and values.find("site_registry_plain_http_enabled") is not True:
            yield "registry", *registry_address(endpoint(at).host, False)
    except ValueError:  # preflight reports it
        return
