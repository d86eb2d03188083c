# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a session that opens is of no use: its kernel, the way to it, or what it lacks. What each is called, and what to do next.

Jupyter Server's words: https://github.com/jupyter-server/jupyter_server/blob/main/jupyter_server/services/kernels.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from ansible_collections.ironbinder.platform.plugins.module_utils._net.failure import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._net.websockets import UpgradeRefused
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError

__all__ = ["CAUSES", "REFUSALS", "SESSION_GONE", "TOO_MUCH", "broken_channel", "kernel_error"]


class KernelCause(NamedTuple):
    """What went wrong, and what to do next."""

    what: str
    remedy: str


CAUSES = {
    "kernels_api": KernelCause(
        "the session has no kernels to start",
        "see what the repository starts in place of a Jupyter server; if that is as it should be, set "
        "site_verify_kernel_enabled to false or verify another repository (site_verify_spec)",
    ),
    "kernelspec": KernelCause(
        "the session has no such kernel",
        "install a kernel in the repository's image (ipykernel for Python), or correct `kernel` in site_verify_expect",
    ),
    "kernel_start": KernelCause(
        "the session cannot start a kernel",
        "read the log of the session's pod, and start the kernel by hand in a terminal of the session: "
        "jupyter kernel --kernel=NAME",
    ),
    "kernel_died": KernelCause(
        "the session's kernel dies",
        "read the log of the session's pod: a kernel whose package is missing dies when it starts, and one that "
        "needs more memory than a session has (jupyterhub.singleuser.memory.limit) when it computes",
    ),
    "kernel_silent": KernelCause(
        "the session's kernel does not answer",
        "look whether the session's pod has CPU left and reaches itself at 127.0.0.1, where kernel and server talk; raise "
        "site_verify_kernel_timeout_seconds if it is only slow",
    ),
    "kernel_output": KernelCause(
        "the session's kernel gives another answer than the right one",
        "run the cell by hand in the session: what starts with the kernel prints, or changes what Python does "
        "(sitecustomize, the profile of IPython)",
    ),
    "kernel_error": KernelCause(
        "the session's kernel runs no cell",
        "run the cell by hand in the session, and read its traceback below",
    ),
    "kernel_language": KernelCause(
        "what is expected can be asked of a Python kernel only",
        "leave `packages` out of site_verify_expect, name a Python kernel there, or write a cell in `code` that asks "
        "in the kernel's own language",
    ),
    "contents_api": KernelCause(
        "the session does not tell whether it has the files that are expected",
        "read the log of the session's pod, check that the proxy passes the header Authorization on for api/contents as it does "
        "for api/kernels, or ask for the files by a cell: `code` in site_verify_expect",
    ),
    "expect_file": KernelCause(
        "the session lacks a file that is expected",
        "see that the repository has it at the ref of site_verify_spec and that its image copies it to where the notebook "
        "opens, or correct `files` in site_verify_expect",
    ),
    "expect_package": KernelCause(
        "the session lacks a Python package that is expected",
        "add it to what the repository installs, for the kernel's own Python, or correct `packages` in site_verify_expect",
    ),
    "expect_output": KernelCause(
        "the cell that is expected to run does not do what it should",
        "run it by hand in the session, or correct `code` and `output` in site_verify_expect",
    ),
    "kernel_websocket": KernelCause(
        "the notebook opens, but no kernel can be used: its websocket is lost on the way",
        "pass Upgrade and Connection on in the proxy's location for the hub, with proxy_http_version 1.1, and let "
        "connections live that are silent for a while (proxy_read_timeout)",
    ),
}
# Of `kernel_died`, where nothing is left that could say so.
SESSION_GONE = (
    "look whether the session's pod still runs: most likely the session itself is gone, and the first suspect is its memory "
    "limit (jupyterhub.singleuser.memory.limit), for which kernel and server are killed together; where it does run, see whether "
    "the proxy does"
)
# Of what a kernel says.
TOO_MUCH = "run the cell by hand in the session, and see what prints so much"
# What is said in place of a websocket, and what to do: statuses first to last.
REFUSALS: list[tuple[Container[int], str]] = [
    (
        range(300, 400),
        "check that the proxy passes the header Authorization on to the hub, also with an upgrade: without it the session "
        "sends people to sign in",
    ),
    (
        (401, 403),
        "check that the proxy passes Authorization, Host and Origin on unchanged: the session takes websockets of its own "
        "page only",
    ),
    (
        (404,),
        "check that the proxy's location for the hub covers websockets too (api/kernels/.../channels), and leads to the "
        "same place as its pages",
    ),
    (
        (502, 503, 504),
        "read the proxy's error log: it, or the hub's proxy behind it, does not reach the session with an upgrade",
    ),
    (range(1000), CAUSES["kernel_websocket"].remedy),
]


def kernel_error(kinds: Sequence[str], where: str, observed: str, remedy: str = "") -> VerifyError:
    """Explain what is wrong with a kernel; each of `kinds` is one of CAUSES, and the first gives the error its name."""
    causes = [CAUSES[kind] for kind in dict.fromkeys(kinds)]
    what = ", and ".join(cause.what for cause in causes)
    remedy = remedy or "; ".join(cause.remedy for cause in causes)
    return VerifyError(kinds[0], what, where=where, observed=observed, remedy=remedy)


def broken_channel(where: str, error: HttpFailure, told: str = "") -> VerifyError:
    """Explain a websocket that does not open, or that broke; `told` is what else was observed."""
    remedy = ""
    if isinstance(error, UpgradeRefused):
        remedy = next(text for statuses, text in REFUSALS if error.status in statuses)
    elif error.kind == "request":  # the library is missing, or the URL is none
        remedy = (
            "pip install -r requirements.txt for the Python that Ansible runs modules with on the controller"
        )
    return kernel_error(["kernel_websocket"], where, f"{error}{told}", remedy)
