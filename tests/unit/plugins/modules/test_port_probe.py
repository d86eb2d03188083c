# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The module's doors: arguments in, answers out. What it tries is tested with its parts."""

from __future__ import annotations

import json
import socket

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbinder.platform.plugins.modules import port_probe


@pytest.mark.parametrize("check_mode", [False, True])
def test_answer_is_as_documented(check_mode: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        tried = {
            "target": "head1",
            "address": "127.0.0.1",
            "protocol": "tcp",
            "port": server.getsockname()[1],
            "token": "",
        }
        arguments = {"name": "worker1", "tried": [tried], "_ansible_check_mode": check_mode}
        with patch_module_args(arguments), pytest.raises(SystemExit) as stop:
            port_probe.main()
    answer = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0
    assert answer["changed"] is False
    [told] = answer["tried"]
    assert told["state"] == "connected"
    # Who tried is added by the action.
    assert set(told) | {"by"} == set(yaml.safe_load(port_probe.RETURN)["tried"]["contains"])
