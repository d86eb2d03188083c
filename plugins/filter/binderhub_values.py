# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `_binderhub_values.hub_values`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: binderhub_values
short_description: Compute the BinderHub chart's values of one hub
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the values for the official BinderHub chart, secrets apart from what may be shown.
  - Only the service C(proxy-public) becomes a LoadBalancer; BinderHub itself gets a NodePort.
options:
  _input:
    description: One hub, as the filter P(ironbinder.platform.resolve_hubs#filter) gives it.
    type: dict
    required: true
  api_token:
    description: Token BinderHub uses at the hub's API.
    type: str
    required: true
  proxy_token:
    description: Token the hub and its proxy share.
    type: str
    required: true
  build_token_secret:
    description: What BinderHub signs build tokens with, 32 bytes in hex. Empty derives it from O(api_token).
    type: str
    default: ""
  auth_secrets:
    description: What signing in takes, C(client_secret), or C(password) and C(admin_password). Of a hub where people sign in.
    type: dict
    default: {}
  verify_token:
    description: Token with which the proof of a launch comes in, 32 bytes in hex. Of a hub where people sign in.
    type: str
    default: ""
  auth_endpoints:
    description: The OpenID provider's C(authorize_url), C(token_url) and C(userdata_url).
    type: dict
    default: {}
  registry_host:
    description: Host or C(host:port) of the registry.
    type: str
    required: true
  registry_prefix:
    description: Prefix of the images' names, with at least one path level.
    type: str
    required: true
  registry_username:
    description: Account at the registry. Empty where it asks for none.
    type: str
    default: ""
  registry_password:
    description: Password of the account.
    type: str
    default: ""
  registry_pull_username:
    description: Account that sessions pull with. Empty where the registry has only O(registry_username).
    type: str
    default: ""
  registry_pull_password:
    description: Password of this account.
    type: str
    default: ""
  registry_plain_http_enabled:
    description: Speak plain HTTP to the registry.
    type: bool
    default: false
  registry_token_url:
    description: Where BinderHub gets tokens for the registry. Empty for what is known of O(registry_host), or what it says.
    type: str
    default: ""
  ca_checksum:
    description: Anything that changes with the site's CAs. Empty where BinderHub needs no more than its image's own.
    type: str
    default: ""
  proxy_environment:
    description: The site's HTTP proxy, as the filter P(ironbinder.platform.proxy_environment#filter) gives it.
    type: dict
    default: {}
  base_image:
    description: Image that repo2docker builds people's repositories on. Empty for its own.
    type: str
    default: ""
  extra_hosts:
    description: Names that RUN steps of builds know besides those of name servers, {address [name, ...]}.
    type: dict
    default: {}
  build_image:
    description: Image that builds people's repositories. Empty for the chart's own.
    type: str
    default: ""
  build_node_selector:
    description: Labels of the nodes that build images.
    type: dict
    default: {}
  hub_database:
    description: C(jupyterhub.hub.db.type) of the chart.
    type: str
    default: sqlite-memory
  storage:
    description: The contract's C(site_storage), in whose classes the hub's database and people's volumes are.
    type: dict
    default: {}
  hub_image:
    description: Image of JupyterHub itself, as name:tag. Empty for the chart's own.
    type: str
    default: ""
  user_scheduler_replicas:
    description: How many user-schedulers run. 0 leaves sessions to the cluster's own scheduler.
    type: int
    default: 0
  session_memory_guarantee:
    description: Memory a session is sure of.
    type: str
    default: 256M
  session_memory_limit:
    description: Memory a session may use.
    type: str
    default: 2G
  session_cpu_guarantee:
    description: Processors a session is sure of.
    type: float
    default: 0.05
  session_cpu_limit:
    description: Processors a session may use.
    type: float
    default: 1.0
  session_ephemeral_storage_guarantee:
    description: Disk of its node that a session is sure of, as Kubernetes writes it.
    type: str
    default: 256Mi
  session_ephemeral_storage_limit:
    description: Disk of its node that a session may fill, as Kubernetes writes it.
    type: str
    default: 4Gi
  session_max_age_seconds:
    description: Age at which a session is ended, however busy it is. 0 ends none for its age.
    type: int
    default: 43200
  build_max_age_seconds:
    description: Age at which a build is ended. 0 ends none for its age.
    type: int
    default: 14400
  node_purpose_affinity:
    description: Whether pods V(prefer) nodes of their purpose or V(require) them.
    type: str
    choices: [prefer, require]
    default: prefer
  core_pods_wait_seconds:
    description: Seconds for which pods of the hub stay with a lost node before they start on another. 300 is Kubernetes' own.
    type: int
    default: 10
  total_quota:
    description: Sessions of all hubs together. 0 for no quota.
    type: int
    default: 0
  per_repo_quota:
    description: Sessions of one repository in a hub. 0 for no quota.
    type: int
    default: 0
  parallel_builds:
    description: Builds of all hubs together. 0 for BinderHub's own number, for each hub.
    type: int
    default: 0
  hub_count:
    description: How many hubs share O(total_quota) and O(parallel_builds), evenly.
    type: int
    default: 1
  launch_timeout_seconds:
    description: How long a launch may take, for JupyterHub and for BinderHub. 0 leaves the chart's 300 and BinderHub's 600.
    type: int
    default: 0
  default_buildpack_enabled:
    description: Build a repository that says nothing of its environment in repo2docker's default one, which is conda's.
    type: bool
    default: true
  banned_specs:
    description: What nobody may launch, {provider of a Binder link [regular expression, ...]}.
    type: dict
    default: {}
  high_quota_specs:
    description: Repositories for which O(per_repo_quota_higher) holds, in the form of O(banned_specs).
    type: dict
    default: {}
  per_repo_quota_higher:
    description: Sessions of one of these repositories in a hub. 0 for no quota.
    type: int
    default: 0
  ban_networks:
    description: Networks whose requests are refused, {CIDR reason}.
    type: dict
    default: {}
  rate_limit:
    description: Requests that one address may make in O(rate_limit_period_seconds). 0 for BinderHub's own, 10.
    type: int
    default: 0
  rate_limit_period_seconds:
    description: The time after which it may make as many again. 0 for BinderHub's own, 3600.
    type: int
    default: 0
  github_access_token:
    description: What BinderHub asks GitHub with. Empty for 60 requests an hour.
    type: str
    default: ""
  gitlab_access_token:
    description: What BinderHub asks GitLab with.
    type: str
    default: ""
  own_total_quotas:
    description: What hubs have of O(total_quota) by a number of their own; the others share what is left.
    type: list
    elements: int
    default: []
  own_parallel_builds:
    description: The same of O(parallel_builds).
    type: list
    elements: int
    default: []
  image_cleaner_cordon_enabled:
    description: Keep pods away from a node while its images are cleaned up.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show a hub's values
  ansible.builtin.debug:
    msg: "{{ (site_resolved_hubs.binder | ironbinder.platform.binderhub_values(
                api_token=site_hub_api_tokens.binder, proxy_token=site_hub_proxy_tokens.binder,
                registry_host='registry.example.org:5000', registry_prefix='binder/stfc-')).config }}"
"""

RETURN = r"""
_value:
  description: C(config), the values that may be shown, and C(secrets), those that may not.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site import (
    chart_values as _binderhub_values,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.auth_values import SignIn


def binderhub_values(
    hub: Any,
    api_token: str,
    proxy_token: str,
    build_token_secret: str = "",
    *,
    auth_secrets: Any = None,
    verify_token: str = "",
    auth_endpoints: Any = None,
    **settings: Any,
) -> dict[str, Any]:
    """Map the errors of `hub_values` to Ansible's."""
    try:
        return _binderhub_values.hub_values(
            hub,
            _binderhub_values.Settings(**settings),
            api_token,
            proxy_token,
            build_token_secret,
            sign_in=SignIn(auth_secrets or {}, verify_token, auth_endpoints or {}),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise AnsibleFilterError(f"binderhub_values: {error}") from error


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"binderhub_values": binderhub_values}
