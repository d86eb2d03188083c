# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a launch failed that BinderHub took on, in words that say what to do next."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.causes import (
    CODES,
    find_cause,
    find_refusal,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import (
    Failure,
    PhaseFollower,
)

__all__ = ["asks_for_registry", "broken_stream", "failed_launch", "hopeless_launch", "registry_failure"]

# What a phase that failed is called, and where to look.
_PHASES = {
    "waiting": ("build", "the build did not start", "kubectl describe the build pod"),
    "unknown": ("build", "the build pod was lost", "kubectl get nodes, then the build pod's events"),
    "fetching": (
        "fetch",
        "the repository could not be fetched",
        "check the spec, and that the build pod reaches the Git server",
    ),
    "building": (
        "build",
        "the build failed",
        "read the log lines below; the repository itself may be at fault",
    ),
    "pushing": (
        "push",
        "the image could not be pushed",
        "check the registry's account, its free space, and its CA in /etc/docker/certs.d on the build node",
    ),
    "launching": (
        "launch",
        "the image was built, but its server did not start",
        "kubectl describe the pod jupyter-... and read the hub's log",
    ),
}
_PHASES["built"] = _PHASES["launching"]
_NOT_BEGUN = (
    "build",
    "BinderHub could not begin with the build",
    "read BinderHub's log (kubectl logs deployment/binder): it has asked the Git server and the registry by then",
)


def _said(follower: PhaseFollower, failure: Failure) -> str:
    return failure.message or (follower.log[-1] if follower.log else "")


def failed_launch(url: str, follower: PhaseFollower) -> VerifyError:
    """Explain the failure that BinderHub reported."""
    failure = follower.failure
    if failure is None:
        raise AssertionError("only a launch that failed can be explained")
    kind, what, remedy = _explain(follower, failure)
    return VerifyError(
        kind, what, where=url, observed=_observed(follower, failure), remedy=remedy, log=follower.log
    )


def _explain(follower: PhaseFollower, failure: Failure) -> tuple[str, str, str]:
    """Return kind, what and remedy. Words decide before codes, and codes before the phase alone."""
    refusal = find_refusal(_said(follower, failure), failure.phase, follower.built_now)
    if refusal:
        return refusal.kind, refusal.what, refusal.remedy
    if failure.status_code in CODES and failure.phase in ("waiting", "built", "launching"):
        return CODES[failure.status_code]
    fallback = ("build", f"BinderHub failed in phase {failure.phase}", "read BinderHub's log")
    kind, what, remedy = _PHASES.get(failure.phase, fallback)
    if failure.phase == "waiting" and not follower.built_now:
        kind, what, remedy = _NOT_BEGUN
    cause = find_cause(failure.message, failure.phase) or find_cause("\n".join(follower.log), failure.phase)
    return kind, what, cause.remedy if cause else remedy


def _observed(follower: PhaseFollower, failure: Failure) -> str:
    observed = f"phase {failure.phase}, then failed" + (
        f" with {failure.status_code}" * bool(failure.status_code)
    )
    said = _said(follower, failure)
    observed += f": {said}" if said else ""
    if follower.contradictions:
        observed += (
            f"; BinderHub went on to say {', '.join(follower.contradictions)}, as old versions do after a "
            "failed build, which makes it no success"
        )
    return observed


def asks_for_registry(follower: PhaseFollower) -> bool:
    """Whether the registry may be behind a failure of which BinderHub says next to nothing.

    It asks the registry for the image before anything else, and has but an Internal Server Error for
    a registry that does not answer.
    """
    failure = follower.failure
    return failure is not None and failure.phase == "waiting" and failure.status_code >= 500


def registry_failure(url: str, follower: PhaseFollower, trouble: str) -> VerifyError:
    """Explain a failure that a registry in `trouble` is behind."""
    observed = _observed(follower, follower.failure) if follower.failure else "nothing"
    return VerifyError(
        "registry",
        "BinderHub cannot use the registry, and so begins no build",
        where=url,
        observed=f"{observed}; and {trouble}",
        remedy="see whether the registry runs, that site_registry_host and its scheme lead to it, that its certificate's "
        "CA is in site_ca_files, and that the account of site_registry_username may pull",
        log=follower.log,
    )


def hopeless_launch(url: str, follower: PhaseFollower) -> VerifyError:
    """Explain why a launch that goes on is given up."""
    cause = follower.pull.cause
    if cause is None:
        raise AssertionError("only a pull that has failed for good can be explained")
    return VerifyError(
        "launch",
        "the image was built, but no session can pull it",
        where=url,
        observed=f"phase launching for {follower.timeline()[-1].seconds:.0f} s: {follower.pull.line}; the kubelet tries "
        "on, and waiting does not help. The hub gives the pod up after its start timeout",
        remedy=cause.remedy,
        log=follower.log,
    )


def broken_stream(
    url: str, follower: PhaseFollower, error: Exception, *, late: bool, limit: float, held: str
) -> VerifyError:
    """Explain a stream that stopped before it was ready or failed.

    Args:
        url: what was asked for.
        follower: what arrived until then.
        error: an HttpFailure, or what the parser refused.
        late: whether the time for the whole launch was up.
        limit: seconds that were waited, for the launch or for a single byte.
        held: what shows that something on the way holds the stream back, or "".
    """
    last = follower.log[-1] if follower.log else "nothing at all"
    seen = f"phase {follower.phase} after {follower.total_seconds:.0f} s; last seen: {last}"
    seen += f"; {follower.keepalives} keepalives"
    seen += f"; and {held}" if held else ""
    kind, what, remedy = (
        "not_a_stream",
        "what arrives is not an event stream",
        "see what answers at this URL",
    )
    if isinstance(error, HttpFailure) and error.kind == "silence" and late:
        kind, what = "timeout", f"not ready within {limit:.0f} s"
        remedy = "look at the build and user pods; raise the timeout if the build is only slow"
        cause = find_cause("\n".join(follower.log), follower.phase)
        remedy = cause.remedy if cause and follower.phase == "launching" else remedy
    elif isinstance(error, HttpFailure) and error.kind == "silence":
        kind, what = "silent", f"the stream was silent for {limit:.0f} s"
        remedy = (
            "BinderHub sends a keepalive every 25 to 30 s, so something on the way holds it back "
            "(proxy_buffering off), or BinderHub hangs: read its log"
        )
    elif isinstance(error, HttpFailure):
        kind, what = "truncated", "the stream ended before the server was ready"
        remedy = (
            "see whether the binder pod restarted, and whether the proxy's proxy_read_timeout is longer "
            "than BinderHub's keepalives (25 to 30 s)"
        )
    return VerifyError(kind, what, where=url, observed=f"{error}; {seen}", remedy=remedy, log=follower.log)
