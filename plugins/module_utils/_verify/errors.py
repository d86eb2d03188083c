# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Why a launch failed or a BinderHub is ill, in words that say what to do next."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, Union
from urllib.parse import quote

from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpFailure
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.events import PhaseFollower

__all__ = ["VerifyError", "failed_launch", "redact", "refused", "unreachable"]


class VerifyError(Exception):
    """Something that a user of the site would have run into.

    `kind` is a short name for programs, `log` the last lines BinderHub sent, and `facts` what was
    measured until then.
    """

    def __init__(
        self, kind: str, what: str, *, where: str, observed: str, remedy: str, log: Iterable[str] = ()
    ) -> None:
        observed = observed.rstrip(". ") or "nothing more"
        super().__init__(f"{what}. Where: {where}. Observed: {observed}. Next: {remedy}.")
        self.kind = kind
        self.log = list(log)
        self.facts: dict[str, Any] = {}

    def hide(self, secrets: Iterable[str]) -> None:
        """Take the secrets out of everything this error says."""
        secrets = list(secrets)
        self.args = tuple(redact(self.args, secrets))
        self.log = redact(self.log, secrets)
        self.facts = redact(self.facts, secrets)


def redact(value: Any, secrets: Iterable[str]) -> Any:
    """Return `value` with every secret in it, plain or percent-encoded, replaced by `***`."""
    forms = [form for secret in secrets if secret for form in {secret, quote(secret, safe="")}]
    return _redact(value, sorted(forms, key=len, reverse=True))


def _redact(value: Any, forms: list[str]) -> Any:
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, "***")
        return value
    if isinstance(value, Mapping):
        return {key: _redact(entry, forms) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redact(entry, forms) for entry in value]
    return value


# What BinderHub says about a request it does not even begin: kind, what it means, what to do.
_REFUSALS = [
    (
        r"github rate limit",
        "provider_rate_limit",
        "GitHub answers BinderHub no more for now",
        "give BinderHub an account at GitHub (config.GitHubRepoProvider.access_token), or wait an hour",
    ),
    (
        r"rate limit",
        "rate_limit",
        "BinderHub has had too many requests from this address",
        "wait an hour, or pass a build token; if others share the address, let the proxy pass on "
        "each client's own (X-Forwarded-For)",
    ),
    (
        r"too many users|quota",
        "quota",
        "the quota of running servers is used up",
        "stop idle servers, wait for the culler, or raise config.LaunchQuota.total_quota or per_repo_quota",
    ),
    (
        r"no provider found",
        "provider",
        "this BinderHub does not know the provider",
        "use gh, gl, git, gist, zenodo or another that BinderHub.repo_providers names",
    ),
    (
        r"could not resolve ref|resolving ref|is not valid|not found|ls-remote",
        "repository",
        "the repository or its ref does not exist, or BinderHub cannot reach it",
        "check the spec and the ref, that the BinderHub pod reaches the Git server, and, for provider git, "
        "that the proxy passes %2F on unchanged (proxy_pass without a path)",
    ),
    (
        r"disabled from launching|banned|not allowed|blocked",
        "banned",
        "this BinderHub does not launch the repository",
        "look at the provider's allowed_specs and banned_specs, and at BinderHub.ban_networks",
    ),
]
_BUSY_HUB = {429: _REFUSALS[1]}

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

# Causes that show in the log whatever the phase.
_CAUSES = [
    (
        r"x509|certificate signed by unknown|certificate verify failed|unable to get local issuer",
        "a CA is not known where it is needed: the registry's in /etc/docker/certs.d/HOST:PORT/ca.crt for pushes, "
        "in containerd's certs.d for pulls, and in BinderHub's and the builder's pods",
    ),
    (
        r"toomanyrequests|pull rate limit",
        "Docker Hub limits anonymous pulls: set site_docker_hub_mirrors, or an account",
    ),
    (
        r"http response to https client",
        "the registry speaks plain HTTP: give it TLS, or set site_registry_plain_http_enabled",
    ),
    (
        r"no basic auth credentials|unauthorized|authentication required|denied: ",
        "the registry refuses the account: check site_registry_username and site_registry_password",
    ),
    (r"no space left on device", "a disk is full: look at /var/lib/docker and the registry's storage"),
    (
        r"imagepullbackoff|errimagepull",
        "the node cannot pull the image: check containerd's certs.d and account",
    ),
    (
        r"oomkilled|exit code:? 137|cannot allocate memory",
        "memory ran out: raise the build's or the user's limit",
    ),
    (
        r"could not resolve host|no such host|temporary failure in name resolution",
        "a name does not resolve inside the cluster: check CoreDNS and the node's resolver",
    ),
    (r"insufficient (cpu|memory)|failedscheduling", "no node has room for the pod: free some, or add a node"),
]


def failed_launch(url: str, follower: PhaseFollower) -> VerifyError:
    """Explain the failure that BinderHub reported."""
    failure = follower.failure
    if failure is None:
        raise AssertionError("only a launch that failed can be explained")
    said = failure.message or (follower.log[-1] if follower.log else "")
    refusal: Union[tuple[str, str, str, str], None] = None
    if failure.phase in ("waiting", "built", "launching"):
        refusal = _BUSY_HUB.get(failure.status_code) or next(
            (entry for entry in _REFUSALS if re.search(entry[0], said, re.IGNORECASE)), None
        )
    # A build pod has its own errors that say "not found"; only before it began is it BinderHub's refusal.
    if refusal and refusal[1] in ("repository", "provider", "banned") and follower.built_now:
        refusal = None
    if refusal:
        kind, what, remedy = refusal[1:]
    else:
        fallback = ("build", f"BinderHub failed in phase {failure.phase}", "read BinderHub's log")
        kind, what, remedy = _PHASES.get(failure.phase, fallback)
        text = "\n".join([*follower.log, failure.message])
        cause = next((entry[1] for entry in _CAUSES if re.search(entry[0], text, re.IGNORECASE)), "")
        remedy = cause or remedy
    observed = f"phase {failure.phase}, then failed" + (
        f" with {failure.status_code}" * bool(failure.status_code)
    )
    observed += f": {said}" if said else ""
    if follower.contradictions:
        observed += (
            f"; BinderHub went on to say {', '.join(follower.contradictions)}, as old versions do after a "
            "failed build, which makes it no success"
        )
    return VerifyError(kind, what, where=url, observed=observed, remedy=remedy, log=follower.log)


# Answers that are neither an event stream nor health: statuses, kind, what it means, what to do.
_ANSWERS: list[tuple[Container[int], str, str, str]] = [
    ((429,), *_REFUSALS[1][1:]),
    (
        (401, 403),
        "sign_in",
        "BinderHub, or a proxy before it, wants people to sign in",
        "let the verifier's address pass, or launch by hand in a browser",
    ),
    (
        range(300, 400),
        "redirect",
        "the request is sent elsewhere",
        "use the URL it is sent to as site_public_url",
    ),
    (
        (404,),
        "not_found",
        "nothing answers at BinderHub's path",
        "compare the proxy's location, BinderHub.base_url and the hub's binder_base_url: they must be one path",
    ),
    (
        (502, 503, 504),
        "proxy",
        "the proxy does not reach BinderHub",
        "check that the binder pod is Running and that its NodePort answers from the proxy's host",
    ),
    (
        (200, 406),
        "not_a_stream",
        "a page came instead of an event stream",
        "see whether the path leads to BinderHub at all, and whether a proxy on the way drops the header "
        "Accept: text/event-stream or puts its own page first",
    ),
    (range(1000), "http", "BinderHub refused the request", "read BinderHub's log"),
]
_SIGN_IN = re.compile(r"oauth|\b(log|sign).?in\b", re.IGNORECASE)


def refused(url: str, status: int, headers: Mapping[str, str], page: str) -> VerifyError:
    """Explain an answer that is not what was asked for."""
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    text = " ".join((title.group(1) if title else "" if "<" in page else page[:200]).split())
    location = headers.get("location", "")
    observed = f"HTTP {status}, {headers.get('content-type') or 'no content type'}"
    observed += f", to {location}" if location else ""
    observed += f", '{text}'" if text else ""
    observed += f", retry after {headers['retry-after']} s" if "retry-after" in headers else ""
    # A login is a page or a redirect as often as a 401.
    key = 401 if status < 400 and _SIGN_IN.search(f"{location} {text}") else status
    kind, what, remedy = next(entry[1:] for entry in _ANSWERS if key in entry[0])
    return VerifyError(kind, what, where=url, observed=observed, remedy=remedy)


def unreachable(url: str, error: HttpFailure) -> VerifyError:
    """Explain a connection that failed before there was an answer."""
    kind, what, remedy = {
        "tls": (
            "tls",
            "the TLS connection failed",
            "list the CA that signed the proxy's certificate in ca_files (site_ca_files); if the certificate has "
            "expired or names another host, renew it",
        ),
        "silence": (
            "silent",
            "the server took the request and did not answer",
            "check that the binder pod is Running, and whether the proxy buffers the stream (proxy_buffering off)",
        ),
        "closed": (
            "closed",
            "the server hung up instead of answering",
            "see whether http and https are mixed up, and read the proxy's error log",
        ),
        "request": ("request", "the request cannot be sent", "correct the URL, the spec or ca_files"),
    }.get(
        error.kind,
        (
            "unreachable",
            "nothing can be reached at this address",
            "check that NGINX runs on the proxy, that its port is open, and that the name resolves here",
        ),
    )
    return VerifyError(kind, what, where=url, observed=str(error), remedy=remedy)
