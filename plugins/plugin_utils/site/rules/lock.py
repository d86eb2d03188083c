# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Rules about other runs. What a head tells of the lock is documented in `_machine/site_lock.py`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.findings import ERROR, Problem
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.model import (
    Site,
    as_int,
    as_list,
    as_mapping,
    as_text,
)
from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.rule import rule


@rule("site-locked", ERROR, "Another run is changing this site.", acceptable=False)
def site_locked(site: Site) -> Iterator[Problem]:
    # Of this run itself, of runs that are known here to be over, and the one that is to be broken.
    passed = {*as_list(site.controller.get("passable_locks")), site.text("site_lock_break")}
    for head in site.seen("head"):
        holder = as_mapping(head.probe.get("site_lock"))
        if not holder or holder.get("id") in passed:
            continue
        since = holder.get("since")
        epoch = since if isinstance(since, (int, float)) and not isinstance(since, bool) else 0
        began = datetime.fromtimestamp(max(0, min(epoch, 1 << 33)), timezone.utc)
        who, what = as_text(holder.get("who")) or "somebody", as_text(holder.get("what")) or "a playbook"
        yield Problem(
            f"{who} has the site's lock for {what} since {began:%Y-%m-%d %H:%M:%S} UTC (process {as_int(holder.get('pid'))} "
            "there): what is found now may be half done",
            "let it end and start again; a lock that nothing renews lapses after three minutes, and one whose run is known to "
            f"be over is broken by -e site_lock_break={as_text(holder.get('id'))}",
            "",
            head.name,
        )
