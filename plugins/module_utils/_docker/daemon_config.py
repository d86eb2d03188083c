# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""daemon.json: what an admin put there stays, but for the keys and registries that a site names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Runner

__all__ = [
    "DaemonConfigError",
    "DockerSite",
    "ca_hosts",
    "forgotten",
    "merged",
    "read",
    "validate",
    "written",
]

# Without a key log-driver Docker takes this one.
_LOG_DRIVER = "json-file"
# BuildKit inside of dockerd calls runc without --systemd-cgroup, in every version from 18.09 to 29. With the driver `systemd`
# it passes the text slice:docker:id all the same, and runc makes a folder of that name beside dockerd's own control group.
# https://github.com/moby/moby/issues/45796 https://github.com/docker/buildx/issues/2903
_CGROUP_DRIVER = "native.cgroupdriver="


# What `merged` may set.
_SITE_KEYS = (
    "cgroup-parent",
    "exec-opts",
    "insecure-registries",
    "live-restore",
    "log-driver",
    "log-opts",
    "registry-mirrors",
)


class DaemonConfigError(RuntimeError):
    """A daemon.json that cannot be used. The text says where, why and what to do."""


@dataclass(frozen=True)
class DockerSite:
    """What a site says about Docker. Field by field as documented in the module docker_config."""

    registry_mirrors: Sequence[str] = ()
    registries: Sequence[Mapping[str, Any]] = ()
    log_max_size: str = "10m"
    log_max_files: int = 3
    live_restore_enabled: bool = True
    cgroup_parent: str = ""


def read(data: Optional[bytes], path: str) -> dict[str, Any]:
    """Read a daemon.json; none, and an empty one, hold nothing.

    Raises:
        DaemonConfigError: it is no JSON object, or a key that is merged is of another kind.
    """
    if data is None or not data.strip():
        return {}
    try:
        found = json.loads(data)
    except ValueError as error:  # also of bytes that are no UTF-8
        raise DaemonConfigError(
            f"{path} is no JSON: {error}. Docker cannot read it either: mend it, or move it away"
        ) from error
    if not isinstance(found, dict):
        raise DaemonConfigError(
            f"{path} holds no JSON object but {type(found).__name__}: mend it, or move it away"
        )
    kinds = (
        ("log-opts", dict, "an object"),
        ("insecure-registries", list, "a list"),
        ("exec-opts", list, "a list"),
    )
    for key, kind, what in kinds:
        if not isinstance(found.get(key, kind()), kind):
            raise DaemonConfigError(f"{key} in {path} is not {what}: mend it, or take it out")
    return found


def merged(present: Mapping[str, Any], site: DockerSite) -> dict[str, Any]:
    """Give the configuration that holds what is there and what the site says.

    Args:
        present: daemon.json as it is.
        site: what the site says. Its registries leave the insecure ones unless they speak plain HTTP.
    """
    wanted = {"log-driver": _LOG_DRIVER, **present, "live-restore": site.live_restore_enabled}
    if wanted["log-driver"] == _LOG_DRIVER:
        wanted["log-opts"] = {
            **present.get("log-opts", {}),
            "max-size": site.log_max_size,
            "max-file": str(site.log_max_files),
        }
    if site.cgroup_parent:
        wanted["cgroup-parent"] = site.cgroup_parent
        wanted["exec-opts"] = [
            option for option in present.get("exec-opts", []) if not str(option).startswith(_CGROUP_DRIVER)
        ] + [f"{_CGROUP_DRIVER}cgroupfs"]
    told = [str(registry["host"]) for registry in site.registries]
    insecure = [host for host in present.get("insecure-registries", []) if host not in told] + [
        str(registry["host"]) for registry in site.registries if registry.get("plain_http_enabled")
    ]
    for key, value in (("registry-mirrors", list(site.registry_mirrors)), ("insecure-registries", insecure)):
        if value:
            wanted[key] = value
        else:
            wanted.pop(key, None)
    return wanted


def forgotten(present: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Give the configuration without what a site says: each key of `merged` as it was before the first change."""
    kept = {key: value for key, value in present.items() if key not in _SITE_KEYS}
    return {**kept, **{key: before[key] for key in _SITE_KEYS if key in before}}


def written(config: Mapping[str, Any]) -> str:
    """Give the text of a daemon.json."""
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def ca_hosts(site: DockerSite) -> list[str]:
    """List the hosts, with their ports, whose CA the daemon looks for under certs.d."""
    mirrors = (urlsplit(mirror) for mirror in site.registry_mirrors)
    return list(
        dict.fromkeys(
            [str(registry["host"]) for registry in site.registries]
            + [mirror.netloc for mirror in mirrors if mirror.scheme == "https"]
        )
    )


def validate(file: str, path: str, run: Runner) -> None:
    """Let the daemon's own program judge a configuration, where it is there and knows how to.

    Args:
        file: the configuration that is to be judged.
        path: what it will be called.
        run: runs a command.

    Raises:
        DaemonConfigError: the daemon would not start with it.
    """
    ran = run(["dockerd", "--validate", "--config-file", file], 60)
    # Docker before 23 cannot check a file; there, that it is JSON has to do.
    if ran.rc in (0, NOT_THERE) or "unknown flag: --validate" in ran.said:
        return
    raise DaemonConfigError(
        f"Docker refuses what {path} would be, and it is left as it is: {ran.said.replace(file, path)}. "
        "What is wrong stands in that file already, or in what this site says about Docker"
    )
