"""The password that sudo asks for on the lab's machines: made once, kept beside the key that logs in, and printed nowhere."""

from __future__ import annotations

import argparse
import secrets
import string
import sys
from pathlib import Path

import bcrypt

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ironbinder.platform.plugins.module_utils._base.files import write_atomically

__all__ = ["make_password"]

# As hard on shells, templates and encodings as people's passwords can be. Nobody types it.
HARD = """it's "so" ü # {{ x }} $HOME \\ """
# The least that bcrypt takes: a password that nobody can guess needs no slow hash, and sudo asks for it in every task.
ROUNDS = 4


def make_password(state: Path) -> bool:
    """Make `sudo_password`, and `sudo_hash` as /etc/shadow has it, where one of them is missing.

    The hash stays the same as long as the password does, so that a machine that was started with it stays, too.

    Args:
        state: inventories/lab/.lab of this checkout.

    Returns:
        Whether anything was made.
    """
    password, hashed = state / "sudo_password", state / "sudo_hash"
    if password.exists() and hashed.exists():
        return False
    text = HARD + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
    # The hash last: without it both are made anew.
    write_atomically(password, text + "\n", mode=0o600)
    write_atomically(hashed, bcrypt.hashpw(text.encode(), bcrypt.gensalt(ROUNDS)).decode() + "\n", mode=0o600)
    return True


def main() -> int:
    """Make it, and say whether it was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", type=Path, help="inventories/lab/.lab of this checkout")
    if make_password(parser.parse_args().state):
        print("made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
