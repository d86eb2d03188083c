# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the controller sees, without a network."""

from __future__ import annotations

import io
import tarfile
import urllib.error
from collections.abc import Sequence
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.controller_view import (
    INDEX_BYTES,
    look,
    read_chart,
    read_index,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import Site
from site_cases import good_site

INDEX = b"""
apiVersion: v1
entries:
  binderhub:
  - version: 1.0.0-0.dev.git.3983.h383374de
    kubeVersion: '>=1.28.0-0'
    urls: [charts/one.tgz, https://other.example.org/one.tgz]
    digest: 0123abcd
  - {version: 0.9.0}
"""


def site(**values: Any) -> Site:
    """The good site with other values, and nothing looked at."""
    data = good_site()
    data["values"] |= {"site_ca_files": [], **values}
    for key in ("site_proxy_tls_certificate_file", "site_proxy_tls_key_file"):
        data["values"][key] = ""
    for key in ("site_registry_tls_certificate_file", "site_registry_tls_key_file"):
        data["values"][key] = ""
    return Site.from_data(data)


def ask(name: str) -> Sequence[str]:
    """Know one name."""
    if name == "binder.example.org":
        return ["192.0.2.31"]
    raise OSError("Name or service not known")


def get(url: str, ca_files: Sequence[str]) -> bytes:
    """Serve one index."""
    if url == "https://192.0.2.41/charts/index.yaml":
        return INDEX
    raise urllib.error.HTTPError(url, 404, "Not Found", Message(), io.BytesIO())


def test_good_site() -> None:
    """Name, chart and nothing amiss."""
    told = look(site(), ask, get)
    assert told["names"] == {"binder.example.org": {"addresses": ["192.0.2.31"]}}
    assert told["chart"]["versions"] == ["1.0.0-0.dev.git.3983.h383374de", "0.9.0"]
    assert told["chart"]["kube_version"] == ">=1.28.0-0"
    assert told["chart"]["archive"] == {"url": "charts/one.tgz", "digest": "0123abcd"}
    assert told["manifest"] == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"site_binderhub_chart_repository": "https://192.0.2.41/other"}, "answers 404"),
        ({"site_binderhub_chart_repository": "ftp://x/y"}, "is no http"),
        ({"site_binderhub_chart_repository": "/no/such/folder"}, "cannot be read"),
        ({"site_binderhub_chart": "jupyterhub"}, "no chart jupyterhub"),
    ],
)
def test_no_chart(values: dict[str, Any], expected: str) -> None:
    """Whatever is wrong with the chart's source is said."""
    assert expected in look(site(**values), ask, get)["chart"]["error"]


@pytest.mark.parametrize(
    "values", [{"site_kubernetes_client_host": "head1"}, {"site_binderhub_chart_repository": "oci://x/y"}]
)
def test_chart_of_somebody_else(values: dict[str, Any]) -> None:
    """The controller does not judge what it will not fetch."""
    assert look(site(**values), ask, get)["chart"] == {}


def test_names_files_and_manifests() -> None:
    """Names that do not resolve, addresses that need not, files that are not there."""
    told = look(
        site(
            site_public_url="https://gone.example.org",
            site_ca_files=["/no/ca"],
            site_pod_network_manifest="/no/m",
        ),
        ask,
        get,
    )
    assert told["names"] == {"gone.example.org": {"error": "Name or service not known"}}
    assert "error" in told["ca_files"]["/no/ca"]
    assert "error" in told["manifest"]
    assert look(site(site_public_url="http://192.0.2.31"), ask, get)["names"] == {}


@pytest.mark.parametrize(
    ("text", "expected"), [(b"{", "no YAML"), (b"[]", "no entries"), (b"entries: {}", "no chart")]
)
def test_bad_index(text: bytes, expected: str) -> None:
    """What is no index is said to be none; one that is too long is only known to be there."""
    assert expected in read_index(text, "binderhub")["error"]
    assert read_index(b" " * (INDEX_BYTES + 1), "binderhub") == {}


def test_chart_folder_and_archive(tmp_path: Path) -> None:
    """A chart is read from its folder, from the folder above, and from its archive."""
    about = b"name: binderhub\nversion: 0.1.0\nkubeVersion: '>=1.28'\n"
    (tmp_path / "binderhub").mkdir()
    (tmp_path / "binderhub" / "Chart.yaml").write_bytes(about)
    with tarfile.open(tmp_path / "chart.tgz", "w:gz") as archive:
        for name in ("binderhub/charts/jupyterhub/Chart.yaml", "binderhub/Chart.yaml"):
            entry = tarfile.TarInfo(name)
            entry.size = len(about)
            archive.addfile(entry, io.BytesIO(about))
    for path in (tmp_path, tmp_path / "binderhub", tmp_path / "chart.tgz"):
        assert read_chart(str(path), "binderhub") == {
            "versions": ["0.1.0"],
            "kube_version": {"0.1.0": ">=1.28"},
        }
    (tmp_path / "none").mkdir()
    assert "no Chart.yaml" in read_chart(str(tmp_path / "none"), "binderhub")["error"]


def test_helm() -> None:
    """The host that talks to the cluster asks for helm; a server that is down is no missing file."""
    there = {"site_artifact_base": "https://192.0.2.41/", "site_helm_version": "3.22.0"}
    told = look(site(**there), ask, get)["artifacts"]["site_helm_version"]
    assert told["status"] == 404
    assert told["url"].startswith("https://192.0.2.41/get.helm.sh/helm-v3.22.0-linux-")

    def silent(url: str, ca_files: Sequence[str]) -> bytes:
        raise OSError("no answer")

    assert look(site(**there), ask, silent)["artifacts"]["site_helm_version"]["error"] == "no answer"
    assert (
        look(site(**there), ask, lambda url, ca_files: b"")["artifacts"]["site_helm_version"]["status"] == 200
    )
    assert look(site(**there, site_kubernetes_client_host="head1"), ask, get)["artifacts"] == {}
