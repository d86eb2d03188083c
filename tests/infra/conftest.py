# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tests of a live site: `pytest tests/infra --ansible-inventory=inventories/<site>`."""

from __future__ import annotations

pytest_plugins = ["infra_plugin", "watched"]
