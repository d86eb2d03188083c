# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that talk to a cluster have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and requirements; `.wait` adds the time to wait, whose default is the module's own."""

    DOCUMENTATION = r"""
requirements:
  - kubernetes >= 24 (Python package, on the host that runs the module)
options:
  kubeconfig:
    description:
      - Kubeconfig file on the host that runs the module, of an account that may do what the module does.
      - No single question to the API takes longer than a minute, whatever happens to its packets.
    type: path
    required: true
notes:
  - Run it on the host that reaches the API, with C(delegate_to) and without C(become).
  - While it waits, an API server that restarts is forgiven for 30 seconds; a refusal ends the wait at once.
"""

    WAIT = r"""
options:
  timeout_seconds:
    description: How long to wait at most.
    type: int
"""
