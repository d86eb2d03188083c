# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Whatever is broken in a good site, the checker reports and never crashes."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.check import check_site
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import CRASHED
from cluster_cases import bare_site, change, cluster_site
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_values import VALUES, mutate, ways

WAYS = ways(
    change(
        cluster_site(),
        {
            "hosts/worker2/resolved": {"address": "192.0.2.22", "error": ""},
            "controller/hub_values": {
                "faults": [{"hub": "binder", "path": "values.x", "message": "x", "suggestion": "y"}],
                "unchecked": "",
            },
            "values/site_hubs/binder/auth": {
                "kind": "oidc",
                "issuer": "https://iam.example.org/",
                "client_id": "x",
                "scopes": ["openid"],
                "allowed_groups": ["a"],
                "endpoints": {},
                "cookie_max_age_days": 1,
            },
            "controller/providers/binder": {
                "url": "https://iam.example.org/.well-known/openid-configuration",
                "issuer": "https://iam.example.org/",
                "endpoints": {"token_url": "https://iam.example.org/token"},
                "claims": ["sub"],
                "scopes": ["openid"],
            },
        },
    )
)

MUTATIONS = st.lists(
    st.tuples(st.sampled_from(WAYS), st.sampled_from(["set", "remove"]), VALUES), min_size=1, max_size=4
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sampled_from([bare_site, cluster_site]), mutations=MUTATIONS)
def test_mutations_never_crash_the_checker(
    start: Any, mutations: list[tuple[tuple[Any, ...], str, Any]]
) -> None:
    """Two hundred random mutations: every rule finishes, and the report can be written down."""
    site = start()
    for way, action, value in mutations:
        mutate(site, way, action, value)
    report = check_site(site).as_data()
    crashes = [finding for finding in report["findings"] if finding["id"] == CRASHED]
    assert not crashes, crashes
    assert json.dumps(report)
    assert report["table"]
