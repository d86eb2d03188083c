# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The site's names in the Corefile that kubeadm writes: where they stand, what stays, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.cluster_dns import (
    DnsError,
    with_hosts,
)

# As kubeadm v1.36.3 writes it.
KUBEADM = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    reload
}
"""
HOSTS = {"192.0.2.50": ["git.example.org", "git"], "2001:db8::1": ["files.example.org"]}
BLOCK = """# BEGIN names of this site, written by Ironbinder
    hosts {
        192.0.2.50 git.example.org git
        2001:db8::1 files.example.org
        fallthrough
    }
# END names of this site, written by Ironbinder
"""


@pytest.mark.parametrize("opening", [".:53 {\n", ". {\n", "dns://.:53 {\n"])
def test_names_come_first_in_the_server_of_all_names(opening: str) -> None:
    corefile = "example.org:53 {\n    forward . 192.0.2.1\n}\n" + KUBEADM.replace(".:53 {\n", opening)
    assert with_hosts(corefile, HOSTS) == corefile.replace(opening, opening + BLOCK)


def test_again_and_back() -> None:
    """What is around the block is kept to the byte, wherever an admin moved the block."""
    once = with_hosts(KUBEADM, HOSTS)
    assert with_hosts(once, HOSTS) == once
    moved = once.replace(BLOCK, "").replace("    reload\n", BLOCK + "    reload\n")
    assert with_hosts(moved, HOSTS) == moved
    assert with_hosts(once, {"192.0.2.51": ["git"]}).count("hosts {") == 1
    assert with_hosts(once, {}) == KUBEADM
    assert with_hosts(KUBEADM, {}) == KUBEADM


@pytest.mark.parametrize(
    ("corefile", "hosts", "words"),
    [
        ("example.org {\n}\n", HOSTS, "no server"),
        (KUBEADM.replace("    ready\n", "    hosts /etc/more {\n    }\n"), HOSTS, "plugin hosts already"),
        (KUBEADM, {"git.example.org": ["192.0.2.50"]}, "is no address"),
        (KUBEADM, {"192.0.2.50": ["git.example.org\n    }\n    forward . 192.0.2.66"]}, "no list of names"),
        (KUBEADM, {"192.0.2.50": "git.example.org"}, "no list of names"),
        (KUBEADM, {"192.0.2.50": []}, "no list of names"),
    ],
)
def test_what_is_refused(corefile: str, hosts: dict[str, list[str]], words: str) -> None:
    with pytest.raises(DnsError, match=words):
        with_hosts(corefile, hosts)


def test_a_plugin_of_somebody_else_is_nobodys_business_without_names() -> None:
    theirs = KUBEADM.replace("    ready\n", "    hosts /etc/more {\n    }\n")
    assert with_hosts(theirs, {}) == theirs
