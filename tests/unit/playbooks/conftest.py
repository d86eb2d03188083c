# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site whose cluster is in memory, for the playbooks that take something away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drain_cluster import DrainCluster
from kube_server import kubeconfig_for, serve
from removal_book import RemovalBook
from role_runs import answering


@pytest.fixture
def cluster() -> DrainCluster:
    made = DrainCluster()
    made.pod("hub-1")
    return made


@pytest.fixture
def book(tmp_path: Path, cluster: DrainCluster) -> Iterator[RemovalBook]:
    lives = cluster.get

    def get(path: str, **query: str) -> Any:
        # Time passes by being asked.
        cluster.clock.sleep(2)
        return lives(path, **query)

    cluster.get = get  # type: ignore[method-assign]
    with serve(answering(cluster)) as url:
        yield RemovalBook(tmp_path, cluster, kubeconfig_for(url, tmp_path))
