# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._release.chart import chart_source
from ansible_collections.ironbinder.platform.plugins.module_utils._release.command import HelmError

VERSION = "1.0.0-0.dev.git.3983.h383374de"
REPOSITORY = "https://charts.example.org"


def test_chart_sources(tmp_path: Path) -> None:
    assert chart_source("binderhub", REPOSITORY, VERSION).arguments()[:3] == [
        "binderhub",
        "--repo",
        REPOSITORY,
    ]
    assert chart_source("binderhub", "oci://r/charts/", "1.0.0").arguments() == [
        "oci://r/charts/binderhub",
        "--version",
        "1.0.0",
    ]
    (tmp_path / "binderhub").mkdir()
    (tmp_path / "binderhub" / "Chart.yaml").write_text("version: 1.0.0")
    for repository, chart in (
        (tmp_path, "binderhub"),
        (tmp_path / "binderhub", "x"),
        ("", tmp_path / "binderhub"),
    ):
        source = chart_source(str(chart), str(repository), "")
        assert source.is_path
        assert source.arguments() == [str(tmp_path / "binderhub")]
    (tmp_path / "other-1.0.0.tgz").touch()
    assert chart_source("other", str(tmp_path), "1.0.0").chart.endswith("other-1.0.0.tgz")
    with pytest.raises(HelmError, match="site_binderhub_chart_repository"):
        chart_source("nope", str(tmp_path), "1.0.0")
