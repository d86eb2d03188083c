# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The base of people's images: asked for at the registry, and made and pushed where it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import Runner
from ansible_collections.ironbinder.platform.plugins.module_utils._docker.engine import (
    Account,
    DockerEngine,
    DockerEngineError,
)

__all__ = ["BaseImageFault", "Made", "Wish", "ensure"]

_BUILD_SECONDS = 900.0


class BaseImageFault(RuntimeError):
    """A base that cannot be made. The text says what was tried, what was seen and what to do."""


@dataclass(frozen=True)
class Wish:
    """An image by its full name, whose tag names what it is made of; what it starts from; and the files of its build."""

    name: str
    base: str
    files: Mapping[str, str]

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """What comes after the last colon."""
        return self.name.rpartition(":")[2]


@dataclass(frozen=True)
class Made:
    """What became of it. `observed` says why a check could only predict."""

    changed: bool
    digest: str = ""
    observed: str = ""


def ensure(
    engine: DockerEngine, wish: Wish, account: Account, run: Runner, *, check_mode: bool = False
) -> Made:
    """Have the registry hold the image. Nothing is built where it does.

    Args:
        engine: the daemon that builds, trusts and pushes.
        wish: the image.
        account: of the registry, that may push.
        run: runs commands.
        check_mode: ask, and make nothing. A daemon or registry that is not there yet is no fault then.

    Raises:
        BaseImageFault: the registry, the base or the build fails.
    """
    if "/" in wish.tag or not wish.repository:
        raise BaseImageFault(f"{wish.name} has no tag: name the image as registry/repository:tag")
    try:
        digest = engine.registry_digest(wish.name, account)
    except DockerEngineError as error:
        if check_mode:
            return Made(True, observed=str(error))
        raise BaseImageFault(f"{error}. It is asked as builds push: by {_account(account)}") from error
    if digest or check_mode:
        return Made(not digest, digest)
    try:
        if not engine.image_id(wish.base):
            engine.pull(wish.base)
        user = engine.user_of(wish.base)
    except DockerEngineError as error:
        raise BaseImageFault(
            f"{error}. Next: correct site_base_image_from; where Docker reaches no registry but the mirror, write the image's "
            "name there"
        ) from error
    _build(wish, user, run)
    try:
        return Made(True, engine.push(wish.repository, wish.tag, account))
    except DockerEngineError as error:
        raise BaseImageFault(f"{error}. It is pushed as builds are: by {_account(account)}") from error


def _account(account: Account) -> str:
    return f"the account {account.username}" if account.username else "no account"


def _build(wish: Wish, user: str, run: Runner) -> None:
    with TemporaryDirectory(prefix="ironbinder-base-") as folder:
        for name, text in wish.files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        argv = ["docker", "build", "--tag", wish.name]
        argv += ["--build-arg", f"BASE_USER={user}"] if user else []
        done = run([*argv, folder], _BUILD_SECONDS)
    if done.rc:
        raise BaseImageFault(
            f"docker build of {wish.name} on {wish.base} ended with {done.rc}: {done.said[-600:]}. Next: see whether the base is "
            "one of Debian or Ubuntu with a shell, as repo2docker asks for"
        )
