# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches of the site's own sample whose session lacks something, or whose kernel nobody reaches: the verifier says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from live_site import Site
from web import Client

testinfra_hosts = ["ansible://proxy"]

FILE, CHANGED = "/etc/nginx/conf.d/ironbinder.conf", "/run/ironbinder-test-kernel.conf"
# Pages pass, and so does the websocket that needs no kernel.
REFUSING = r"location ~ /api/kernels/[^/]+/channels$ { return 403; }"


@pytest.fixture
def hub(site: Site) -> Mapping[str, Any]:
    """Return the site's first hub, where kernels are looked for."""
    if not site.contract["site_verify_kernel_enabled"]:
        pytest.skip("this site's sample starts no kernel")
    return next(iter(site.hubs.values()))


@pytest.fixture
def refusing(
    request: pytest.FixtureRequest,
    host: Any,
    hub: Mapping[str, Any],
    client: Client,
    eventually: Callable[..., Any],
) -> Iterator[None]:
    """Let the proxy refuse the websockets of kernels, until the test is over or the proxy starts anew."""
    if not request.config.getoption("--interrupt-services"):
        pytest.skip("needs --interrupt-services: nobody's kernel can be used for some seconds")
    url = f"{hub['hub_url'].rstrip('/')}/user/nobody/api/kernels/none/channels"
    host.run_expect([0], f"sed 's|^    merge_slashes on;|    {REFUSING}\\n&|' {FILE} > {CHANGED}")
    host.run_expect([0], f"mount --bind {CHANGED} {FILE}")
    try:
        host.run_expect([0], "/usr/sbin/nginx -t -q && systemctl reload nginx")
        last = eventually(lambda: client.get(url).status != 403, seconds=30, pause=0.5)
        assert not last, "the proxy does not refuse kernels"
        yield
    finally:
        host.run_expect([0], f"umount {FILE} && rm {CHANGED} && systemctl reload nginx")
        assert not eventually(lambda: client.get(url).status == 403, seconds=30, pause=0.5)


def fault(site: Site, hub: Mapping[str, Any], **expect: Any) -> VerifyError:
    """Launch, and return why it does not count."""
    contract = site.contract
    request = LaunchRequest(
        url=hub["binder_url"],
        hub_url=hub["hub_url"],
        provider=contract["site_verify_provider"],
        spec=contract["site_verify_spec"],
        timeout_seconds=contract["site_verify_timeout_seconds"],
        kernel_timeout_seconds=contract["site_verify_kernel_timeout_seconds"],
        expect=expect,
    )
    with pytest.raises(VerifyError) as caught:
        Launch(request, HttpTransport(ca_files=tuple(contract["site_ca_files"]))).run()
    return caught.value


def test_what_a_session_lacks_is_named(site: Site, hub: Mapping[str, Any]) -> None:
    error = fault(
        site, hub, files=["ironbinder/no-such-file.csv"], packages=["ironbinder_no_such_package", "json"]
    )
    assert error.kind == "expect_file", error
    assert "file ironbinder/no-such-file.csv: HTTP 404" in str(error)
    assert "package ironbinder_no_such_package: neither a module nor a distribution has this name" in str(
        error
    )
    assert "package json" not in str(error)
    assert error.facts["kernel"]["computed"] is True and error.facts["phases"]["kernel"] > 0
    assert error.facts["server_stopped"] is True


@pytest.mark.usefixtures("refusing")
def test_a_proxy_that_refuses_kernels_is_seen(site: Site, hub: Mapping[str, Any]) -> None:
    error = fault(site, hub)
    assert error.kind == "kernel_websocket", error
    assert "HTTP 403" in str(error) and "Authorization, Host and Origin" in str(error)
    # The notebook itself opens, and so would pass without a kernel.
    assert error.facts["api_seconds"] >= 0 and error.facts["websocket"] is not False
    assert error.facts["server_stopped"] is True
