# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about where artefacts come from: the mirror, or the projects' own servers."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.answers import (
    SILENT,
    detail,
    seen_from_nodes,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, WARNING, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
    split_url,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule

MIRROR = "artifact_mirror_url"
# A file of one kilobyte takes a few milliseconds on a local network.
SLOW_SECONDS = 2.0
# As many as fit into a line of the table.
MOST_IMAGES = 12


@rule("mirror-url-missing", ERROR, "Artefacts come from a mirror, and there is no URL of one.")
def mirror_url_missing(site: Site) -> Iterator[Problem]:
    if site.uses_mirror and not site.text(MIRROR):
        yield Problem(
            "is empty, and artifact_source is mirror", "set it, or set artifact_source to upstream", MIRROR
        )


@rule("mirror-url-malformed", ERROR, "The mirror's URL is no http or https URL, or ends in a slash.")
def mirror_url_malformed(site: Site) -> Iterator[Problem]:
    text = site.text(MIRROR)
    if not text:
        return
    parts = split_url(text)
    if (
        not parts
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        yield Problem(f"is {text[:80]!r}", "write it as https://mirror.example.org", MIRROR)
    elif text.endswith("/"):
        yield Problem(f"is {text[:80]}, with a slash at its end", f"write {text.rstrip('/')}", MIRROR)


@rule("mirror-url-unused", WARNING, "A mirror is named, and artefacts do not come from it.")
def mirror_url_unused(site: Site) -> Iterator[Problem]:
    if site.text(MIRROR) and site.text("artifact_source") == "upstream":
        yield Problem(
            "is set, and artifact_source is upstream", "set artifact_source: mirror to use it", MIRROR
        )


@rule("mirror-unreachable", ERROR, "Nodes cannot reach the mirror.")
def mirror_unreachable(site: Site) -> Iterator[Problem]:
    for answer, where in seen_from_nodes(site, "packages") if site.uses_mirror else ():
        if answer.get("error") in SILENT:
            yield Problem(
                f"{answer.get('url')}: {SILENT[str(answer['error'])]} ({detail(answer)})",
                "start the mirror, correct its URL, or open the way from the nodes to it",
                MIRROR,
                where,
            )


@rule("mirror-not-trusted", ERROR, "The CAs of the site do not vouch for the mirror.")
def mirror_not_trusted(site: Site) -> Iterator[Problem]:
    for answer, where in seen_from_nodes(site, "packages") if site.uses_mirror else ():
        if answer.get("error") in ("untrusted", "not-tls"):
            yield Problem(
                f"{answer.get('url')}: {detail(answer)}",
                "add the mirror's CA to site_ca_files, or give the mirror a certificate with this name",
                "site_ca_files",
                where,
            )


@rule("mirror-is-none", ERROR, "What answers at the mirror's URL is no mirror.")
def mirror_is_none(site: Site) -> Iterator[Problem]:
    for answer, where in seen_from_nodes(site, "packages") if site.uses_mirror else ():
        if not answer.get("error") and as_int(answer.get("status")) != 200:
            yield Problem(
                f"{answer.get('url')} answers {answer.get('status')}: it does not serve Kubernetes' packages",
                "correct the URL, or mirror this version: a mirror serves https://HOST/PATH as MIRROR/HOST/PATH",
                MIRROR,
                where,
            )


@rule("mirror-slow", WARNING, "The mirror takes long to answer.")
def mirror_slow(site: Site) -> Iterator[Problem]:
    for host in site.seen("head", "workers") if site.uses_mirror else ():
        answer = as_mapping(as_mapping(host.probe.get("urls")).get("packages"))
        seconds = answer.get("seconds")
        if not answer.get("error") and isinstance(seconds, (int, float)) and seconds > SLOW_SECONDS:
            yield Problem(
                f"took {seconds:.1f} s for one kilobyte",
                "look at the mirror's load and at its name server",
                MIRROR,
                host.name,
            )


@rule("image-absent", WARNING, "The mirror does not have an image that the site needs.")
def image_absent(site: Site) -> Iterator[Problem]:
    absent = as_mapping(as_mapping(site.controller.get("images")).get("absent"))
    if absent:
        more = f" and {len(absent) - MOST_IMAGES} more" if len(absent) > MOST_IMAGES else ""
        yield Problem(
            f"answers 404 to {len(absent)}: {', '.join(list(absent)[:MOST_IMAGES])}{more}",
            "put them there, `make artifacts` shows the URL of each; nodes that reach the projects' own servers pull there",
            MIRROR,
        )


@rule("upstream-unreachable", WARNING, "Nodes cannot reach the projects' own servers.")
def upstream_unreachable(site: Site) -> Iterator[Problem]:
    for answer, where in seen_from_nodes(site, "packages") if not site.uses_mirror else ():
        if answer.get("error") or as_int(answer.get("status")) != 200:
            said = detail(answer) or f"answers {answer.get('status')}"
            yield Problem(
                f"{answer.get('url')}: {said}",
                "nothing, if apt has a proxy of its own; else open the way out, or set artifact_source: mirror",
                "artifact_source",
                where,
            )


@rule("docker-mirror-malformed", ERROR, "A mirror of Docker Hub has a path, or no scheme.")
def docker_mirror_malformed(site: Site) -> Iterator[Problem]:
    for entry in as_list(site.values.get("site_docker_hub_mirrors")):
        parts = split_url(entry)
        if not as_text(entry) or not parts or parts.scheme not in ("http", "https") or not parts.hostname:
            yield Problem(
                f"has {str(entry)[:80]!r}",
                "write scheme://host or scheme://host:port",
                "site_docker_hub_mirrors",
            )
        elif parts.path.strip("/") or parts.query or parts.fragment:
            yield Problem(
                f"has {str(entry)[:80]!r}: Docker takes no path here",
                f"write {parts.scheme}://{parts.netloc}",
                "site_docker_hub_mirrors",
            )


@rule("ca-file-unreadable", ERROR, "A CA file is missing, unreadable, or holds no certificate.")
def ca_file_unreadable(site: Site) -> Iterator[Problem]:
    for path, answer in as_mapping(site.controller.get("ca_files")).items():
        fault = as_text(as_mapping(answer).get("error"))
        if fault:
            yield Problem(
                f"{path}: {fault}", "give the path of a PEM file on the controller", "site_ca_files"
            )


@rule("ca-expired", ERROR, "A CA of the site has expired.")
def ca_expired(site: Site) -> Iterator[Problem]:
    for path, answer in as_mapping(site.controller.get("ca_files")).items():
        ends = as_mapping(answer).get("not_after")
        if isinstance(ends, (int, float)) and site.clock and ends < site.clock:
            yield Problem(f"{path} has expired", "put the CA's new certificate there", "site_ca_files")


@rule("ntp-server-malformed", ERROR, "A time server is a URL.")
def ntp_server_malformed(site: Site) -> Iterator[Problem]:
    for entry in as_list(site.values.get("site_ntp_servers")):
        if isinstance(entry, str) and ("/" in entry or " " in entry.strip()):
            yield Problem(f"has {entry[:60]!r}", "write names or addresses, one an entry", "site_ntp_servers")
