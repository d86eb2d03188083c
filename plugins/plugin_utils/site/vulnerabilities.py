# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Known vulnerabilities of what charts bring, and what they bring, as far as the sources here say. Nothing is inferred.

Vulnerabilities are those of JupyterHub's changelog as of 6.1.1, and of the JupyterHub chart's as of 4.4.0:
https://jupyterhub.readthedocs.io/en/latest/reference/changelog.html and
https://z2jh.jupyter.org/en/stable/changelog.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.ironbinder.platform.plugins.module_utils._base.versions import numbers

__all__ = [
    "AS_OF",
    "HUB_IMAGE",
    "NEWEST_HUB_IMAGE",
    "VULNERABILITIES",
    "Vulnerability",
    "hub_image_of_chart",
    "hub_programs",
    "vulnerabilities_of",
]

# When the table was last held against its sources.
AS_OF = "2026-10-20"
HUB_IMAGE = "quay.io/jupyterhub/k8s-hub"


@dataclass(frozen=True)
class Vulnerability:
    """One entry.

    `fixed` are the releases that mend it, the oldest line first; each holds for its own line and the last for all after it.
    `since` is the first release that has it, `` where the source does not say. `needs` says what a hub has to use to be open
    to it, `` for any. `date` is that of the release that mends it.
    """

    id: str
    program: str
    fixed: tuple[str, ...]
    date: str
    source: str
    needs: str = ""
    since: str = ""

    def is_in(self, version: str) -> bool:
        """Whether a version of the program has it."""
        told = numbers(version)
        mended = [numbers(release) for release in self.fixed]
        if not told or told < numbers(self.since) or told >= mended[-1]:
            return False
        return not any(told[0] == release[0] and told >= release for release in mended)


def _hub(
    advisory: str, fixed: tuple[str, ...], date: str, *, name: str = "", needs: str = "", since: str = ""
) -> Vulnerability:
    source = f"https://github.com/jupyterhub/jupyterhub/security/advisories/{advisory}"
    return Vulnerability(name or advisory, "jupyterhub", fixed, date, source, needs, since)


SHARING, ADMINS = "sharing by users", "users with rights of admins"
VULNERABILITIES = (
    _hub("GHSA-7r3h-4ph8-w38g", ("4.1.0",), "2024-03-20", name="CVE-2024-28233"),
    _hub("GHSA-9x4q-3gxw-849f", ("4.1.6", "5.1.0"), "2024-07-31", name="CVE-2024-41942", needs=ADMINS),
    _hub("GHSA-3vff-hjqv-m7h8", ("5.4.4",), "2026-03-26", name="CVE-2026-33709"),
    Vulnerability(
        "CVE-2026-33175",
        "oauthenticator",
        ("17.4.0",),
        "2026-03-26",
        "https://github.com/jupyterhub/oauthenticator/security/advisories/GHSA-rrvg-cxh4-qhrv",
        "Auth0OAuthenticator",
    ),
    Vulnerability(
        "CVE-2026-34052",
        "jupyterhub-ltiauthenticator",
        ("1.6.3",),
        "2026-03-26",
        "https://github.com/jupyterhub/ltiauthenticator/security/advisories/GHSA-8mxq-7xr7-2fxj",
        "LTI11Authenticator",
    ),
    _hub("GHSA-m68r-v472-jgq9", ("5.4.5",), "2026-04-28", name="CVE-2026-40864", since="4.1.0"),
    _hub("GHSA-p43p-whwx-q52h", ("5.5.0",), "2026-06-10", name="CVE-2026-54338"),
    _hub("GHSA-c4gm-pwx9-9w8j", ("5.5.1",), "2026-08-10", needs=SHARING, since="5.0.0"),
    _hub("GHSA-69wv-m5fw-2fhp", ("5.5.1",), "2026-08-10", needs="roles of admins of a group"),
    _hub("GHSA-mj6q-mp44-53v8", ("5.5.2",), "2026-09-01", needs=SHARING, since="5.0.0"),
    _hub("GHSA-hx46-2cv3-mh6g", ("5.5.3", "6.1.0"), "2026-10-14"),
    _hub("GHSA-5jhc-4h3c-q97h", ("5.5.3", "6.1.0"), "2026-10-14", needs="LocalProcessSpawner"),
    _hub("GHSA-93gc-h923-mp36", ("5.5.3", "6.1.0"), "2026-10-14", needs=ADMINS),
    _hub(
        "GHSA-r764-xgvf-jrfj",
        ("5.5.3", "6.1.0"),
        "2026-10-14",
        needs="SharedPasswordAuthenticator",
        since="5.3.0",
    ),
    _hub("GHSA-pvm9-48cg-w76j", ("5.5.3", "6.1.0"), "2026-10-14", needs="token_expires_in_max_seconds"),
    _hub("GHSA-x7xh-7hc7-9436", ("5.5.3", "6.1.0"), "2026-10-14", needs=ADMINS),
)

# What each release of the hub's image holds, in the order of `PROGRAMS`.
# https://github.com/jupyterhub/zero-to-jupyterhub-k8s/blob/<tag>/images/hub/requirements.txt
PROGRAMS = ("jupyterhub", "oauthenticator", "jupyterhub-ltiauthenticator")
HUB_IMAGES = {
    "3.1.0": ("4.0.2", "16.1.0", "1.6.1"),
    "3.2.1": ("4.0.2", "16.2.1", "1.6.1"),
    "3.3.7": ("4.1.5", "16.3.0", "1.6.2"),
    "3.3.8": ("4.1.6", "16.3.1", "1.6.2"),
    "4.0.0": ("5.2.1", "17.1.0", "1.6.2"),
    "4.1.0": ("5.2.1", "17.3.0", "1.6.2"),
    "4.2.0": ("5.3.0", "17.3.0", "1.6.2"),
    "4.3.0": ("5.4.0", "17.3.0", "1.6.2"),
    "4.3.1": ("5.4.1", "17.3.0", "1.6.2"),
    "4.3.2": ("5.4.3", "17.3.0", "1.6.2"),
    "4.3.3": ("5.4.4", "17.4.0", "1.6.3"),
    "4.3.4": ("5.4.5", "17.4.0", "1.6.3"),
    "4.3.5": ("5.4.6", "17.4.0", "1.6.3"),
    "4.4.0": ("5.5.0", "17.4.0", "1.6.3"),
}
NEWEST_HUB_IMAGE = "4.4.0"
# Numbers of BinderHub's charts from which on they bring a JupyterHub chart, whose version is its image's tag; and the last chart
# that was looked at. https://github.com/jupyterhub/binderhub/commits/main/helm-chart/binderhub/Chart.yaml
CHARTS = ((3194, "3.1.0"), (3354, "3.2.1"), (3439, "3.3.7"), (3524, "4.0.0"), (3781, "4.2.0"))
LAST_CHART = 3983
_NUMBER = re.compile(r"1\.0\.0-0\.dev\.git\.([0-9]{1,9})\.h[0-9a-f]+")


def hub_image_of_chart(version: str) -> str:
    """Give the hub's image that a version of BinderHub's chart brings; empty for a chart that nobody looked at."""
    found = _NUMBER.fullmatch(version)
    number = int(found.group(1)) if found else 0
    tags = [tag for first, tag in CHARTS if first <= number <= LAST_CHART]
    return f"{HUB_IMAGE}:{tags[-1]}" if tags else ""


def hub_programs(image: str) -> dict[str, str]:
    """Give the programs that a hub's image holds, {name: version}; nothing for an image that nobody looked at.

    A copy in another registry counts as the image of its name, and a digest as that of the tag before it.
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    if name.rpartition("/")[2] != HUB_IMAGE.rpartition("/")[2] or tag not in HUB_IMAGES:
        return {}
    return dict(zip(PROGRAMS, HUB_IMAGES[tag]))


def vulnerabilities_of(image: str) -> list[Vulnerability]:
    """Give what is known of a hub's image, in the order of dates."""
    programs = hub_programs(image)
    return [entry for entry in VULNERABILITIES if entry.is_in(programs.get(entry.program, ""))]
