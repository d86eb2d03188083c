# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""By what the namespace of a hub is known; role binderhub writes them in its template cluster.yaml.j2."""

from __future__ import annotations

__all__ = ["BINDER_BASE_URL", "HUB_BASE_URL", "HUB_LABEL"]

# A label, whose value is the hub's name in site_hubs.
HUB_LABEL = "ironbinder.platform/hub"
# Annotations, with the paths that the hub was last released with.
BINDER_BASE_URL = "ironbinder.platform/binder-base-url"
HUB_BASE_URL = "ironbinder.platform/hub-base-url"
