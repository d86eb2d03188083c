# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Every rule of rules/urls.py by a bad site of its own."""

from __future__ import annotations

import pytest
from site_cases import PUBLIC, Case, case, found, hubs, rules_in, value

TWO = {
    "controller/names/b.example.org": {"addresses": ["192.0.2.31"]},
    "controller/tls/proxy/names": ["*.example.org"],
}
CASES = [
    case(
        "hub's URL without a host",
        hubs(a={}, b={"public_url": "b.example.org"}),
        ("public-url-malformed", "site_hubs.b.public_url", ""),
    ),
    case(
        "hub's URL with a path",
        {**hubs(a={}, b={"public_url": "https://b.example.org/binder"}), **TWO},
        ("public-url-has-path", "site_hubs.b.public_url", ""),
    ),
    case(
        "hub's name that nobody knows",
        {
            **hubs(a={}, b={"public_url": "https://b.example.org"}),
            **TWO,
            "controller/names/b.example.org": {"error": "unknown"},
        },
        ("public-url-not-resolving", "site_hubs.b.public_url", ""),
    ),
    case(
        "hub's name elsewhere",
        {
            **hubs(a={}, b={"public_url": "https://b.example.org"}),
            **TWO,
            "controller/names/b.example.org": {"addresses": ["192.0.2.32"]},
        },
        ("public-url-not-the-proxy", "site_hubs.b.public_url", "proxy1"),
    ),
    case(
        "one path of two hosts",
        {**hubs(a={}, b={"public_url": "https://b.example.org", "binder_base_url": "/binderhub/"}), **TWO},
    ),
    case(
        "one path of two hubs of one host",
        {
            **hubs(
                a={},
                b={"public_url": "https://b.example.org"},
                c={"public_url": "https://B.example.org/", "binder_base_url": "/binderhub/"},
            ),
            **TWO,
        },
        ("base-paths-equal", "site_hubs.c.binder_base_url", ""),
    ),
    value(
        "URL without scheme",
        "site_public_url",
        "binder.example.org",
        ("public-url-malformed", "site_public_url", ""),
    ),
    value(
        "URL with a broken port",
        "site_public_url",
        "https://binder.example.org:x",
        ("public-url-malformed", "site_public_url", ""),
    ),
    value(
        "URL with a path",
        "site_public_url",
        "https://binder.example.org/hub",
        ("public-url-has-path", "site_public_url", ""),
    ),
    case(
        "name does not resolve",
        {"controller/names/binder.example.org": {"error": "Name or service not known"}},
        ("public-url-not-resolving", "site_public_url", ""),
    ),
    case(
        "name of another machine",
        {"controller/names/binder.example.org/addresses": ["192.0.2.99"]},
        ("public-url-not-the-proxy", "site_public_url", "proxy1"),
    ),
    case(
        "plain HTTP for everybody",
        {
            **PUBLIC,
            "values/site_public_url": "http://binder.example.org",
            "values/site_anonymous_access_acknowledged": True,
        },
        ("public-url-plain-http", "site_public_url", ""),
    ),
    case(
        "path without slash",
        hubs(a={"hub_base_url": "/jupyterhub"}),
        ("base-path-slashes", "site_hubs.a.hub_base_url", ""),
    ),
    *(
        case(
            f"path that NGINX would read otherwise: {path}",
            hubs(a={"hub_base_url": path}),
            ("base-path-slashes", "site_hubs.a.hub_base_url", ""),
        )
        for path in ("/a;b{c}$d/", '/a"b/', "/a/../b/", "/jupyter%68ub/", "/ü/")
    ),
    case("path of all that is allowed", hubs(a={"hub_base_url": "/a.b_c~d-1/e/"})),
    *(
        case(
            f"host that is none: {url}",
            {**hubs(a={}, b={"public_url": url}), **TWO},
            ("public-url-malformed", "site_hubs.b.public_url", ""),
        )
        for url in (
            "https://a.example.org;",
            "https://*.example.org",
            "https://a b.example.org",
            "https://ü.example.org",
        )
    ),
    case(
        "equal paths",
        hubs(a={"hub_base_url": "/x/", "binder_base_url": "/x/"}),
        ("base-paths-equal", "site_hubs.a.hub_base_url", ""),
    ),
    case(
        "nested paths",
        hubs(a={"binder_base_url": "/jupyterhub/binder/"}),
        ("base-paths-nested", "site_hubs.a.binder_base_url", ""),
    ),
    case(
        "hub at the root",
        hubs(a={"binder_base_url": "/"}),
        ("base-paths-nested", "site_hubs.a.binder_base_url", ""),
    ),
    case(
        "hub with an unknown key",
        hubs(a={"namespaces": "x"}),
        ("hub-malformed", "site_hubs.a.namespaces", ""),
    ),
    case("hub that is text", hubs(a="yes"), ("hub-malformed", "site_hubs.a", "")),
    case("no hub", hubs(), ("hub-malformed", "site_hubs", "")),
    case(
        "three hubs on one address",
        hubs(**{hub: {"floating_ip": "192.0.2.101"} for hub in "abc"}),
        ("hubs-share-address", "site_hubs.c.floating_ip", ""),
    ),
    case(
        "two hubs on one NodePort",
        hubs(a={"node_port": 30600}, b={"node_port": 30600}),
        ("hubs-share-node-port", "site_hubs.b.node_port", ""),
    ),
    case(
        "one NodePort as number and as text",
        hubs(a={"node_port": 30600}, b={"node_port": "30600 "}),
        ("hubs-share-node-port", "site_hubs.b.node_port", ""),
    ),
    case(
        "one NodePort with a zero",
        hubs(a={}, b={"node_port": "030585"}),
        ("hubs-share-node-port", "site_hubs.b.node_port", ""),
    ),
    case(
        "two hubs in one namespace",
        hubs(a={}, b={"namespace": "a"}),
        ("hubs-share-namespace", "site_hubs.b.namespace", ""),
    ),
    case(
        "NodePort out of range",
        hubs(a={"node_port": 80}),
        ("node-port-out-of-range", "site_hubs.a.node_port", ""),
    ),
    case(
        "namespace with capitals",
        hubs(a={"namespace": "Binder"}),
        ("namespace-malformed", "site_hubs.a.namespace", ""),
    ),
    case(
        "namespace with a blank",
        hubs(a={"namespace": "a "}),
        ("namespace-malformed", "site_hubs.a.namespace", ""),
    ),
    case(
        "path that meets another's default",
        hubs(a={"binder_base_url": "/jupyterhub/"}),
        ("base-paths-equal", "site_hubs.a.binder_base_url", ""),
    ),
    case(
        "namespace that is the next hub's name",
        hubs(a={"namespace": "b"}, b={}),
        ("hubs-share-namespace", "site_hubs.a.namespace", ""),
    ),
    case(
        "NodePort that is the next hub's default",
        hubs(a={"node_port": 30586}, b={}),
        ("hubs-share-node-port", "site_hubs.a.node_port", ""),
    ),
    case(
        "address that is the next hub's",
        hubs(a={"floating_ip": "192.0.2.102"}, b={}),
        ("hubs-share-address", "site_hubs.a.floating_ip", ""),
    ),
]


@pytest.mark.parametrize("bad", CASES, ids=[entry.name for entry in CASES])
def test_bad_site(bad: Case) -> None:
    """Exactly the expected findings, each at its variable and host."""
    assert found(bad.site()) == bad.expected


def test_every_rule_has_a_case() -> None:
    """A rule that no bad site breaks is a rule that nobody knows to work."""
    assert rules_in("urls") <= {rule for entry in CASES for rule, _, _ in entry.expected}
