# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""containerd as the kubelet needs it: its Kubernetes interface, its registries, and an image."""

from __future__ import annotations

import re

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import NOT_THERE, Ran, Runner

__all__ = ["Containerd", "ContainerdError"]

_CRI = re.compile(r"^ID:\s+cri\s*$", re.MULTILINE)
_CONFIG_PATH = re.compile(r"\bRegistryConfigPath\s+(\S+)")
_ERROR = re.compile(r"^Error:\s*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_ASK_SECONDS = 60


class ContainerdError(RuntimeError):
    """A daemon that is down, or not what it has to be. The text says what was asked, seen, and what to do."""


class Containerd:
    """The machine's daemon, asked by its own client `ctr`.

    Args:
        run: runs a command.
        hosts_dir: folder with a hosts.toml for each registry.
        namespace: where images are kept; the kubelet's is k8s.io.
    """

    def __init__(self, run: Runner, *, hosts_dir: str, namespace: str) -> None:
        self._run = run
        self._hosts_dir = hosts_dir
        self._namespace = namespace

    def prove(self) -> None:
        """Ask the daemon for its Kubernetes interface and the folder it finds registries in.

        Raises:
            ContainerdError: one of them is not as it has to be.
        """
        told = self._ctr("plugins", "list", "--detailed", "id==cri", "id==images").stdout
        # A part that did not start says so.
        failed = _ERROR.search(told)
        if failed:
            raise ContainerdError(
                f"a part of containerd did not start: {' '.join(failed.group(1).split())}. See `journalctl -u containerd`"
            )
        if not _CRI.search(told):
            raise ContainerdError(
                "containerd runs without its Kubernetes interface: disabled_plugins in its configuration names cri "
                "(`containerd config dump`). Take it out, then `systemctl restart containerd`"
            )
        folders = _CONFIG_PATH.findall(told)
        if self._hosts_dir not in folders:
            raise ContainerdError(
                f"containerd looks for its registries in {', '.join(folders) or 'no folder'}, not in {self._hosts_dir}: "
                "set config_path of its image plugin (`containerd config dump`), then `systemctl restart containerd`"
            )

    def has(self, image: str) -> bool:
        """Say whether the daemon has an image.

        Raises:
            ContainerdError: the daemon does not answer.
        """
        return image in self._image("list", "--quiet", f"name=={image}").stdout.splitlines()

    def pull(self, image: str, timeout_seconds: float) -> None:
        """Let the daemon pull an image, by the code and from the folder that it uses for the kubelet.

        Raises:
            ContainerdError: it cannot.
        """
        self._image("pull", "--hosts-dir", self._hosts_dir, image, timeout_seconds=timeout_seconds)

    def _image(self, *words: str, timeout_seconds: float = _ASK_SECONDS) -> Ran:
        return self._ctr("--namespace", self._namespace, "images", *words, timeout_seconds=timeout_seconds)

    def _ctr(self, *words: str, timeout_seconds: float = _ASK_SECONDS) -> Ran:
        ran = self._run(["ctr", *words], timeout_seconds)
        if ran.rc == NOT_THERE:
            raise ContainerdError(
                f"containerd's client ctr is not on this machine ({ran.said}): install containerd"
            )
        if ran.rc != 0:
            # It warns of what will be given up one day, whatever was asked; and the last lines say what was wrong.
            lines = [
                line.strip() for line in ran.said.splitlines() if line.strip() and "level=warning" not in line
            ]
            said = " / ".join(lines[-3:])
            raise ContainerdError(
                f"`ctr {' '.join(words)}` failed: {said}. See `journalctl -u containerd`, "
                f"and {self._hosts_dir}/*/hosts.toml for where images come from"
            )
        return ran
