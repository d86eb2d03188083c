# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What BinderHub, the build and Kubernetes say when a launch fails, and what each saying means.

Two tables, each read from the top: what BinderHub says of a request that it does not begin, and what
shows in the log whatever the phase. tests/unit has a line for each row.

BinderHub's words: https://github.com/jupyterhub/binderhub/blob/main/binderhub/builder.py, base.py and quota.py.
The kubelet's: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/image_manager.go.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Union

__all__ = ["CAUSES", "REFUSALS", "Cause", "PullWatch", "Refusal", "find_cause", "find_refusal"]

_ASKED = frozenset({"waiting"})
_ANY_TIME = frozenset({"waiting", "built", "launching"})
_LAUNCH = frozenset({"built", "launching"})


class Refusal(NamedTuple):
    """A request that BinderHub does not begin: what is said, what it is called, what to do.

    `vague` words are BinderHub's only until a build pod can have said them.
    """

    pattern: str
    kind: str
    what: str
    remedy: str
    phases: frozenset[str] = _ASKED
    vague: bool = False


class Cause(NamedTuple):
    """What shows in a log: the remedy, and `phases` that it counts in, none for all.

    `final` tells that a pull which fails for it fails again.
    """

    pattern: str
    remedy: str
    phases: frozenset[str] = frozenset()
    final: bool = False


REFUSALS = [
    Refusal(
        r"github rate limit",
        "provider_rate_limit",
        "GitHub answers BinderHub no more for now",
        "give BinderHub an account at GitHub (config.GitHubRepoProvider.access_token), or wait an hour",
        _ANY_TIME,
    ),
    Refusal(
        r"invalid build token",
        "build_token",
        "the build token is not valid",
        "a build token counts for one repository and one host, for as long as BinderHub.build_token_expires_seconds, "
        "and while BinderHub.build_token_secret stays the same: make a new one, or launch without",
    ),
    Refusal(
        r"requests from .* are not allowed",
        "banned",
        "this BinderHub takes no requests from the verifier's network",
        "take the network out of config.BinderHub.ban_networks; if it is the proxy's own, let the proxy pass on each "
        "client's address (X-Forwarded-For)",
    ),
    Refusal(
        r"forbidden: exceeded quota",
        "quota",
        "the namespace has no room for another pod",
        "kubectl -n <namespace> describe resourcequota: raise it, or stop idle servers",
        _ANY_TIME,
    ),
    Refusal(
        r"already has (a running server|the maximum of)",
        "quota",
        "the account has as many servers as it may",
        "stop one of them in the hub, or raise Launcher.named_server_limit_per_user",
        _ANY_TIME,
    ),
    Refusal(
        r"too many users|quota",
        "quota",
        "the quota of running servers is used up",
        "stop idle servers, wait for the culler, or raise config.LaunchQuota.total_quota or per_repo_quota",
        _ANY_TIME,
    ),
    Refusal(
        # Docker Hub's pull rate limit is another, and so is a Kubernetes client's rate limiter.
        r"(?<!pull )rate limit\b",
        "rate_limit",
        "BinderHub has had too many requests from this address",
        "wait an hour, or pass a build token; if others share the address, let the proxy pass on "
        "each client's own (X-Forwarded-For)",
        _ANY_TIME,
    ),
    Refusal(
        r"no provider found",
        "provider",
        "this BinderHub does not know the provider",
        "use gh, gl, git, gist, zenodo or another that BinderHub.repo_providers names",
    ),
    Refusal(
        r"missing accept header",
        "not_a_stream",
        "BinderHub was not asked for an event stream",
        "a proxy on the way drops or changes the header Accept: text/event-stream; let it pass unchanged",
    ),
    Refusal(
        r"could not resolve ref|resolving ref|cannot be read|ls-remote",
        "repository",
        "the repository or its ref does not exist, or BinderHub cannot reach it",
        "check the spec and the ref, that the BinderHub pod reaches the Git server, and, for provider git, "
        "that the proxy passes %2F on unchanged (proxy_pass without a path)",
    ),
    Refusal(
        r"disabled from launching|not allowed to launch|banned|blocked|not allowed",
        "banned",
        "this BinderHub does not launch the repository",
        "look at the provider's allowed_specs and banned_specs, and at BinderHub.ban_networks",
        vague=True,
    ),
    Refusal(
        r"is not valid|is not of the form|not found|spec ends without",
        "repository",
        "the spec leads to no repository",
        "check how the provider writes a spec, for example <user>/<repository>/<ref> for gh",
        vague=True,
    ),
]
# Where no words decide. BinderHub has the codes in events, as an event stream can have no other status.
CODES = {
    401: (
        "sign_in",
        "this BinderHub launches only for people who signed in",
        "say how in the hub's auth (docs/sign-in.md), by which the verifier has a token, or launch by hand in a browser",
    ),
    429: next(row for row in REFUSALS if row.kind == "rate_limit")[1:4],
}
CODES[403] = CODES[401]

_MISSING = r'(secrets?|configmaps?|serviceaccounts?|persistentvolumeclaims?) "[^"]*" not found'
CAUSES = [
    # ---- the session's pod -----------------------------------------------------------------------
    Cause(
        rf"{_MISSING}|non-existent (secret|config) key|createcontainerconfigerror",
        "the session's pod refers to an object that the hub's namespace lacks: kubectl -n <namespace> get "
        "secrets,configmaps; releasing the hub again makes what belongs to it",
        _LAUNCH,
    ),
    Cause(
        r"x509|certificate signed by unknown|certificate verify failed",
        "the node's containerd does not trust the registry: put the CA that signed the registry's certificate into "
        "site_ca_files, and run the stage nodes",
        _LAUNCH,
        final=True,
    ),
    Cause(
        # "forbidden" and "denied" alone are said of pods and of files too.
        r"no basic auth credentials|unauthori[sz]ed|40[13] (unauthorized|forbidden)|status(:| code:?)? 40[13]|"
        r"access denied|access to the resource is denied|denied: |insufficient_scope|authorization failed|"
        r"authentication required",
        "the registry refuses the account that sessions pull with: check site_registry_username and "
        "site_registry_password, that the account may pull, and Secret image-pull-secret in the hub's namespace "
        "(jupyterhub.imagePullSecret)",
        _LAUNCH,
        final=True,
    ),
    Cause(
        r"manifest.unknown|manifest for .* not found|failed to resolve reference .* not found|name.unknown|"
        r"invalidimagename",
        "the registry has no such image: BinderHub's image_prefix has to be the registry's host and "
        "site_registry_prefix; if the registry lost the image, restart the binder pod and launch again",
        _LAUNCH,
        final=True,
    ),
    Cause(
        r"http response to https client",
        "the registry speaks plain HTTP: give it TLS, or set site_registry_plain_http_enabled and run the stage nodes",
        _LAUNCH,
        final=True,
    ),
    # ---- anywhere --------------------------------------------------------------------------------
    Cause(
        r"x509|certificate signed by unknown|certificate verify failed|unable to get local issuer",
        "a CA is not known where it is needed: the registry's in /etc/docker/certs.d/HOST:PORT/ca.crt for pushes, "
        "in containerd's certs.d for pulls, and in BinderHub's and the builder's pods",
    ),
    Cause(
        r"toomanyrequests|pull rate limit",
        "Docker Hub limits anonymous pulls: set site_docker_hub_mirrors, or an account",
    ),
    Cause(
        r"http response to https client",
        "the registry speaks plain HTTP: give it TLS, or set site_registry_plain_http_enabled",
    ),
    Cause(
        r"no basic auth credentials|unauthorized|authentication required|denied: ",
        "the registry refuses the account: check site_registry_username and site_registry_password",
    ),
    Cause(r"no space left on device", "a disk is full: look at /var/lib/docker and the registry's storage"),
    Cause(
        r"(failed to push|pushing|/v2/).*(connection refused|no route to host|i/o timeout|deadline exceeded)",
        "the registry does not answer the build node: see whether it runs, and that site_registry_host leads to it",
    ),
    Cause(
        r"imagepullbackoff|errimagepull|back-off pulling image|failed to pull image",
        "the node cannot pull the image: check containerd's certs.d and account",
    ),
    Cause(
        r"oomkilled|exit code:? 137|cannot allocate memory",
        "memory ran out: raise the build's or the user's limit",
    ),
    Cause(
        r"could not resolve host|no such host|temporary failure in name resolution",
        "a name does not resolve inside the cluster: check CoreDNS and the node's resolver",
    ),
    Cause(
        r"insufficient (cpu|memory)|failedscheduling|nodes are available",
        "no node has room for the pod: free some, or add a node",
    ),
]


def find_refusal(said: str, phase: str, pod_may_speak: bool) -> Union[Refusal, None]:
    """Return what `said` means where a request ended in `phase`, None where it is no refusal.

    `pod_may_speak` tells that a build has begun, whose own errors may use vague words.
    """
    for row in REFUSALS:
        if phase in row.phases and not (row.vague and pod_may_speak) and _search(row.pattern, said):
            return row
    return None


def find_cause(text: str, phase: str) -> Union[Cause, None]:
    """Return the first row of CAUSES that shows in `text`, of those that count in `phase`."""
    for row in CAUSES:
        if (not row.phases or phase in row.phases) and _search(row.pattern, text):
            return row
    return None


def _search(pattern: str, text: str) -> bool:
    return bool(re.search(pattern, text, re.IGNORECASE))


class PullWatch:
    """Notices that a session's image will not be pulled, however long one waits.

    One failed pull proves nothing, so it takes a final cause and the kubelet backing off, or the same
    cause again.
    """

    def __init__(self) -> None:
        self._backs_off = False
        self._times = 0
        self.line = ""
        self.cause: Union[Cause, None] = None

    def note(self, line: str) -> None:
        """Take in a line that was said while launching."""
        if not _search(r"\bpull|image", line):
            return
        self._backs_off = self._backs_off or _search(r"back-off pulling|imagepullbackoff", line)
        cause = find_cause(line, "launching")
        if cause and cause.final:
            self.line, self.cause = self.line or line, self.cause or cause
            self._times += 1

    @property
    def hopeless(self) -> bool:
        """Whether waiting is in vain."""
        return self.cause is not None and (self._backs_off or self._times > 1)
