# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What holds for all unit tests: a property is judged by its examples, and not by how busy the machine is.

`make test` has the same examples each time, so that what changes its colour is a change. `make test-full` looks for others.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ironbinder",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=not os.environ.get("IRONBINDER_LONG"),
    # How to see a failure again, wherever it happened.
    print_blob=True,
)
settings.load_profile("ironbinder")
