# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The filter that says where a registry is asked."""

from __future__ import annotations

import pytest
from ansible_collections.ironbinder.platform.plugins.filter.registry_endpoint import registry_endpoint


def test_docker_hub_has_several_names() -> None:
    assert registry_endpoint("docker.io") == {
        "host": "registry-1.docker.io",
        "api_url": "https://registry-1.docker.io",
        "image_names": "",
    }


@pytest.mark.parametrize(("told", "scheme"), [(True, "http"), ("yes", "http"), ("no", "https")])
def test_another_has_one(told: object, scheme: str) -> None:
    assert registry_endpoint("r.example.org:5000", told) == {
        "host": "r.example.org:5000",
        "api_url": f"{scheme}://r.example.org:5000",
        "image_names": "r.example.org:5000/",
    }


def test_no_registry_is_nowhere() -> None:
    assert set(registry_endpoint("").values()) == {""}
