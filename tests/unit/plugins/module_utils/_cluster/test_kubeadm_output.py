"""kubeadm's words: recorded from kubeadm v1.36.3 on a machine without a container runtime."""

from __future__ import annotations

from ansible_collections.ironbinder.platform.plugins.module_utils._cluster.kubeadm_output import (
    error_lines,
    phase_seconds,
    redact,
)

PREFLIGHT = """\
[preflight] Running pre-flight checks
\t[WARNING Hostname]: hostname "head1" could not be reached
[preflight] Some fatal errors occurred:
\t[ERROR CRI]: could not connect to the container runtime: dial unix: no such file or directory
\t[ERROR KubeletVersion]: couldn't get kubelet version: cannot execute 'kubelet --version': executable file not found in $PATH
[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`
error: error execution phase preflight: preflight checks failed
To see the stack trace of this error execute with --v=5 or higher
"""


def test_error_lines_say_why_and_nothing_else() -> None:
    """Warnings, progress and advice are left out."""
    assert error_lines(PREFLIGHT) == [
        "[ERROR CRI]: could not connect to the container runtime: dial unix: no such file or directory",
        "[ERROR KubeletVersion]: couldn't get kubelet version: cannot execute 'kubelet --version': executable file "
        "not found in $PATH",
        "error: error execution phase preflight: preflight checks failed",
    ]


def test_error_lines_fall_back_to_the_last_lines_and_are_bounded() -> None:
    """An end without a word of error still leaves something to read."""
    assert error_lines("[certs] one\n[certs] two\n") == ["[certs] one", "[certs] two"]
    assert len(error_lines("\n".join(f"error {number}" for number in range(50)))) == 12
    assert error_lines("") == []


def test_secrets_are_replaced() -> None:
    """Tokens, certificate keys and CA hashes."""
    said = f"error: token abcdef.0123456789abcdef, key {'a1' * 32}, --discovery-token-ca-cert-hash sha256:{'0f' * 32}"
    assert error_lines(said) == [
        "error: token [token], key [key], --discovery-token-ca-cert-hash sha256:[key]"
    ]
    assert redact("v1.36.3 and 10.244.0.0/16 stay") == "v1.36.3 and 10.244.0.0/16 stay"


def test_phase_seconds() -> None:
    """A phase lasts until the next one; one that returns is summed; what comes first is counted to the first."""
    lines = [
        (0.1, "W0101 something"),
        (0.5, "[preflight] Running pre-flight checks"),
        (2.0, "[certs] Using certificateDir folder"),
        (2.5, "\tindented words belong to it"),
        (3.0, "[kubelet-start] Starting the kubelet"),
        (4.0, "[certs] again"),
        (4.5, "Your Kubernetes control-plane has initialized successfully!"),
    ]
    assert phase_seconds(lines, 5.0) == {"preflight": 2.0, "certs": 2.0, "kubelet-start": 1.0}
    assert phase_seconds([(1.0, "nothing in brackets")], 2.0) == {}
