# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The filter that splits a registry's address."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.filter.registry_address import registry_address


def test_a_mapping_comes_back() -> None:
    assert registry_address("[2001:db8::41]:5000") == {"host": "2001:db8::41", "port": 5000}
    assert registry_address("192.0.2.41") == {"host": "192.0.2.41", "port": 443}


@pytest.mark.parametrize(("told", "port"), [(True, 80), ("yes", 80), ("no", 443), (False, 443)])
def test_plain_http_may_be_written_as_people_write_it(told: object, port: int) -> None:
    assert registry_address("registry.example.org", told)["port"] == port


def test_errors_are_those_of_filters() -> None:
    with pytest.raises(AnsibleFilterError, match="'https://registry' is no registry's address"):
        registry_address("https://registry")
    with pytest.raises(AnsibleFilterError, match="maybe"):
        registry_address("registry.example.org", "maybe")
