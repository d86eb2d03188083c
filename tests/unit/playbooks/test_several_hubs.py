# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Preflight of a site with several hubs, as a person runs it."""

from __future__ import annotations

from pathlib import Path

from controller_runs import GOOD, ids, make_site, preflight


def test_faults_of_several_hubs_in_one_report(tmp_path: Path) -> None:
    hosts = {"head": {"head1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}
    site = make_site(tmp_path / "site", hosts, {**GOOD, "site_floating_pool": "192.0.2.101-192.0.2.105"})
    (site / "group_vars/all/hubs.yml").write_text(
        "site_hubs:\n"
        "  binder: {total_quota: many}\n"
        "  private: {node_port: 30700}\n"
        "  private: {public_url: 'https://private.example.org/x', verify: {spec: a}}\n"
        "  third: {release: binder, namespace: binder}\n"
    )
    report, output, code = preflight(site)
    assert code != 0
    assert {
        ("hub-setting-malformed", "site_hubs.binder.total_quota", ""),
        ("hub-named-twice", "site_hubs.private", ""),
        ("public-url-has-path", "site_hubs.private.public_url", ""),
        ("hub-public-url-differs", "site_hubs.private.public_url", ""),
        ("verify-spec-malformed", "site_hubs.private.verify.spec", ""),
        ("hubs-share-release", "site_hubs.third.release", ""),
        ("hubs-share-namespace", "site_hubs.third.namespace", ""),
        ("token-missing", "site_hub_api_tokens.third", ""),
    } <= ids(report)
    assert "make secrets SITE=<site>" in output
    assert "Traceback" not in output
