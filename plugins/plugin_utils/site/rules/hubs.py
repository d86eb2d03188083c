# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about what the hubs are told to do: who comes in, what is built where, what is fenced."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_mapping,
    as_text,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.nodes import PURPOSES
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.past import past_of
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.proofs import own_proofs
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.sign_in import auth_of, signs_in
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.urls import (
    public_addresses,
    public_hosts,
)

NULL_AUTHENTICATORS = ("", "null", "nullauthenticator.NullAuthenticator", "tmp", "dummy")
# Providers whose pods' network policies nobody enforces. `manifest` is whatever the file installs.
UNENFORCED = ("routed",)
# Ways in the values under which the official chart asks for network policies.
POLICIES = (
    "networkPolicy.enabled",
    "dind.networkPolicy.enabled",
    "jupyterhub.hub.networkPolicy.enabled",
    "jupyterhub.proxy.chp.networkPolicy.enabled",
    "jupyterhub.singleuser.networkPolicy.enabled",
)


def look_up(values: Any, way: str) -> Any:
    """Follow a dotted way through mappings; None where it ends early."""
    for key in way.split("."):
        values = as_mapping(values).get(key)
    return values


def _builders(site: Site) -> list[str]:
    """Give the type of each hub's builder; the host's Docker builds where the values say nothing."""
    return [as_text(look_up(hub.get("values"), "imageBuilderType")) or "host" for hub in site.hubs.values()]


@rule(
    "anonymous-on-public-address",
    ERROR,
    "Anybody may use a hub on a public address, and nobody said that this is meant.",
)
def anonymous_on_public_address(site: Site) -> Iterator[Problem]:
    addresses = public_addresses(site, public_hosts(site).values())
    public = [address for address in addresses if ip_address(address).is_global]
    if not public or site.flag("site_anonymous_access_acknowledged"):
        return
    for name, hub in site.hubs.items():
        if signs_in(hub) or auth_of(hub.get("auth"))["acknowledged"] is True:
            continue
        values = hub.get("values")
        kind = look_up(values, "jupyterhub.hub.config.JupyterHub.authenticator_class")
        asks = look_up(values, "config.BinderHub.auth_enabled") is True
        if not asks or (kind is not None and as_text(kind) in NULL_AUTHENTICATORS):
            yield Problem(
                f"the hub {name} asks nobody to sign in, and {public[0]} is reachable from everywhere",
                f"set site_hubs.{name}.auth: {{kind: none, acknowledged: true}} if that is meant, or say how people sign in",
                "site_anonymous_access_acknowledged",
            )


@rule(
    "network-policy-not-enforced",
    ERROR,
    "A hub asks for network policies, and the pod network does not enforce any.",
)
def network_policy_not_enforced(site: Site) -> Iterator[Problem]:
    provider = site.text("site_pod_network_provider")
    if provider not in UNENFORCED:
        return
    for name, hub in site.hubs.items():
        for way in POLICIES:
            if look_up(hub.get("values"), way) is True:
                yield Problem(
                    f"asks for a network policy, and the provider {provider} enforces none",
                    "set site_pod_network_provider: calico before the cluster is made, or drop the policy from the values",
                    f"site_hubs.{name}.values.{way}",
                )


@rule("pod-network-manifest-missing", ERROR, "The pod network comes from a manifest, and none is named.")
def pod_network_manifest_missing(site: Site) -> Iterator[Problem]:
    text = site.text("site_pod_network_manifest")
    if site.text("site_pod_network_provider") == "manifest" and not text:
        yield Problem(
            "is empty, and the provider is manifest", "set it to a URL or a file", "site_pod_network_manifest"
        )
    fault = as_text(as_mapping(site.controller.get("manifest")).get("error"))
    if text and fault:
        yield Problem(
            f"{text[:120]}: {fault}", "give a URL, or a file on the controller", "site_pod_network_manifest"
        )


@rule("no-build-node", ERROR, "No node may run sessions and builds.")
def no_build_node(site: Site) -> Iterator[Problem]:
    if site.nodes and not any("user" in site.purposes(host) for host in site.nodes):
        yield Problem(
            "no node has the purpose user",
            "give it to a worker, or to the head on a small site",
            "site_node_purposes",
        )


@rule("no-core-node", ERROR, "No node may run the hubs themselves.")
def no_core_node(site: Site) -> Iterator[Problem]:
    if site.members("head") and not any("core" in site.purposes(host) for host in site.nodes):
        yield Problem("no node has the purpose core", "give it to the head", "site_node_purposes")


@rule("node-purpose-unknown", ERROR, "A node has a purpose that is none.")
def node_purpose_unknown(site: Site) -> Iterator[Problem]:
    for host in site.nodes:
        odd = [str(entry)[:30] for entry in site.purposes(host) if entry not in PURPOSES]
        if odd:
            yield Problem(f"has {', '.join(odd)}", "use core, user, or both", "site_node_purposes", host.name)


@rule(
    "host-builds-without-docker",
    ERROR,
    "Builds use the host's Docker, and a build node has something else in its place.",
)
def host_builds_without_docker(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers") if "host" in _builders(site) else ():
        docker = as_mapping(host.probe.get("docker"))
        if site.builds_on(host) and docker.get("engine") not in (None, "", "docker"):
            yield Problem(
                f"/var/run/docker.sock is {docker['engine']}'s, and builds need Docker's own",
                f"remove {docker['engine']} (apt-get remove podman-docker), or set imageBuilderType: dind in the hub's values",
                "",
                host.name,
            )


@rule("host-builds-docker-gone", WARNING, "Builds use the host's Docker, and a node that is in use has none.")
def host_builds_docker_gone(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers") if "host" in _builders(site) else ():
        if (
            host.joined
            # A node of another cluster is another rule's.
            and past_of(host, "cluster").get("ours") is not False
            and site.builds_on(host)
            and as_mapping(host.probe.get("docker")).get("socket") is False
        ):
            yield Problem(
                "runs pods, and has no /var/run/docker.sock, so builds on it fail",
                "this run installs and starts Docker; look why it was gone (journalctl -u docker)",
                "",
                host.name,
            )


@rule("builder-type-unknown", ERROR, "A hub's builder is of a type that the chart does not have.")
def builder_type_unknown(site: Site) -> Iterator[Problem]:
    for name, hub in site.hubs.items():
        kind = look_up(hub.get("values"), "imageBuilderType")
        if kind is not None and kind not in ("host", "dind", "pink"):
            yield Problem(
                f"is {str(kind)[:30]!r}",
                "use host, dind or pink",
                f"site_hubs.{name}.values.imageBuilderType",
            )


@rule("verify-spec-malformed", ERROR, "What the verifier launches is no provider and spec of a Binder link.")
def verify_spec_malformed(site: Site) -> Iterator[Problem]:
    # What a hub shares with the site is the site's finding.
    for proof in own_proofs(site):
        if proof.provider and not proof.spec:
            yield Problem("is empty", "write it as in a Binder link: owner/repository/HEAD", proof.variable)
        elif proof.provider == "gh" and proof.spec.count("/") < 2:
            yield Problem(f"is {proof.spec[:80]!r}", "write owner/repository/ref", proof.variable)


@rule("client-host-unknown", ERROR, "The host that talks to the cluster is neither localhost nor the head.")
def client_host_unknown(site: Site) -> Iterator[Problem]:
    text = site.text("site_kubernetes_client_host")
    if text and text != "localhost" and text not in site.groups.get("head", ()):
        yield Problem(
            f"is {text[:60]!r}",
            "use localhost, or the name of the head in hosts.yml",
            "site_kubernetes_client_host",
        )


@rule("api-port-invalid", ERROR, "The API's port is none.")
def api_port_invalid(site: Site) -> Iterator[Problem]:
    port = site.values.get("site_api_port")
    if isinstance(port, (int, str)) and as_int(port, -1) not in range(1, 65536):
        yield Problem(f"is {str(port)[:20]}", "use 6443", "site_api_port")


@rule("api-address-malformed", ERROR, "The API's address is a URL.")
def api_address_malformed(site: Site) -> Iterator[Problem]:
    text = site.text("site_api_address")
    if "/" in text or (text.count(":") == 1 and split_url(f"//{text}")):
        yield Problem(
            f"is {text[:60]!r}", "write an address or a name; the port is site_api_port", "site_api_address"
        )
