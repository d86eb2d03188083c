# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A site is put into a real NGINX, and what NGINX refuses changes nothing."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbinder.platform.plugins.module_utils._base.clock import Clock, SystemClock
from ansible_collections.ironbinder.platform.plugins.module_utils._base.commands import run_command
from ansible_collections.ironbinder.platform.plugins.module_utils._machine.nginx_site import (
    Machine,
    NginxError,
    NginxSite,
    Site,
)
from ansible_collections.ironbinder.platform.plugins.module_utils._net.http import HttpTransport
from free_ports import free_port
from nginx_machine import NGINX, debian_folder, needs_nginx, start_nginx

pytestmark = needs_nginx
ME = (os.geteuid(), os.getegid())


class ClockOfLog:
    """No time passes before a log has a word, and much with every pause then; a real minute at most."""

    def __init__(self, log: Path, word: str) -> None:
        self.log, self.word, self.ends, self.seconds = log, word, time.monotonic() + 60, 0.0

    def now(self) -> float:
        """Return the seconds."""
        return self.seconds

    def sleep(self, _seconds: float) -> None:
        """Give NGINX a moment."""
        time.sleep(0.05)
        # The word may have been there before the wait began.
        if self.word in self.log.read_text() or time.monotonic() > self.ends:
            self.seconds += 1000.0


@dataclass
class Place:
    """A machine with an NGINX that runs its default site."""

    folder: Path
    config_dir: Path
    port: int
    process: subprocess.Popen[str]

    def site(self, body: str = "", **more: object) -> Site:
        """Return a site that answers its generation, with more lines in its server block."""
        text = (
            f"server {{\n    listen 127.0.0.1:{self.port} default_server;\n"
            f'    location = /g {{ return 200 "@generation@"; }}\n    {body}\n}}\n'
        )
        url = f"http://127.0.0.1:{self.port}/g"
        return replace(Site("hello", text, url, replaces=("default",), adopt=True), **more)  # type: ignore[arg-type]

    def nginx(self, site: Site, clock: Clock | None = None, **more: Any) -> NginxSite:
        """Return the site on this machine."""
        assert NGINX is not None
        machine = Machine(
            log_owner=ME,
            owner=ME,
            config_dir=self.config_dir,
            log_dir=self.folder / "log",
            program=NGINX,
            ask_running=("kill", "-0", str(self.process.pid)),
            reload=(NGINX, "-c", str(self.config_dir / "nginx.conf"), "-s", "reload"),
        )
        return NginxSite(site, replace(machine, **more), run_command, HttpTransport(), clock or SystemClock())

    def bring_about(self, site: Site) -> list[str]:
        """Do what the module does; return the names of the files that were changed."""
        nginx = self.nginx(site)
        changes = nginx.changes()
        nginx.put_in_place(changes)
        if not nginx.runs():
            nginx.make_run(60)
        assert nginx.runs()
        return [change.path.name for change in changes]

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of everything below the configuration's folder."""
        return {
            str(path.relative_to(self.config_dir)): (path.stat().st_mode, path.read_bytes())
            for path in sorted(self.config_dir.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Run an NGINX as the package leaves it."""
    port = free_port()
    config_dir = debian_folder(tmp_path, port)
    process = start_nginx(config_dir / "nginx.conf", port, tmp_path / "log/error.log")
    yield Place(tmp_path, config_dir, port, process)
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Return a function that makes a certificate with its key, another one each time."""
    folder = tmp_path_factory.mktemp("tls")

    def make() -> str:
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=a -keyout k -out c"
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        return (folder / "c").read_text() + (folder / "k").read_text()

    return make


def test_a_site_is_put_in_place_once(place: Place) -> None:
    site = place.site(logs=("hello.access.log",))
    assert place.bring_about(site) == ["hello.access.log", "default", "hello.conf"]
    assert place.bring_about(site) == []
    assert (place.config_dir / "conf.d/hello.conf").stat().st_mode & 0o777 == 0o644
    assert (place.folder / "log/hello.access.log").stat().st_mode & 0o777 == 0o640
    # What is only linked from sites-enabled stays.
    assert (place.config_dir / "sites-available/default").is_file()


@pytest.mark.parametrize("packaged", [True, False])
def test_somebodys_default_site_needs_consent(place: Place, packaged: bool) -> None:
    """Without it nothing is changed, and NGINX goes on; the package's own makes way."""
    before = place.files()
    nginx = place.nginx(place.site(adopt=False), default_is_packaged=lambda: packaged)
    if packaged:
        assert [change.path.name for change in nginx.changes()] == ["default", "hello.conf"]
    else:
        with pytest.raises(
            NginxError, match=r"sites-enabled/default is a site that somebody made.*site_adopt_nginx"
        ):
            nginx.changes()
    assert place.files() == before


def test_an_nginx_without_a_folder_of_sites(place: Place) -> None:
    """nginx.org's package has conf.d alone: no folder is needed, to test a site or to put it in place."""
    for folder in ("sites-enabled", "sites-available"):
        for path in (place.config_dir / folder).iterdir():
            path.unlink()
        (place.config_dir / folder).rmdir()
    main = place.config_dir / "nginx.conf"
    main.write_text(
        "".join(line for line in main.read_text().splitlines(True) if "sites-enabled" not in line)
    )
    assert place.bring_about(place.site(adopt=False)) == ["hello.conf"]
    with pytest.raises(NginxError, match="no_such_directive"):
        place.bring_about(place.site("no_such_directive on;", adopt=False))
    assert sorted(path.name for path in place.config_dir.iterdir()) == ["conf.d", "mime.types", "nginx.conf"]


def test_a_file_of_an_admin_is_kept(place: Place) -> None:
    """What is no link is the only copy: it is moved to where NGINX does not read it, under a name that is free."""
    enabled, available = (place.config_dir / name for name in ("sites-enabled", "sites-available"))
    text = (available / "default").read_text()
    names = ["default.before-ironbinder", "default.before-ironbinder.1", "default.before-ironbinder.2"]
    for count, name in enumerate(names, 1):
        (enabled / "default").unlink(missing_ok=True)
        (enabled / "default").write_text(f"# edit {count}\n{text}")
        (told,) = [one for one in place.nginx(place.site()).changes() if one.path.name == "default"]
        # What an admin wrote may hold a password.
        assert (told.before, told.after) == ("file\n", f"moved to {available / name}\n")
        assert told.kept_as == available / name
        assert "default" in place.bring_about(place.site())
        assert not (enabled / "default").exists()
    assert [(available / name).read_text()[:8] for name in names] == ["# edit 1", "# edit 2", "# edit 3"]
    assert (available / "default").read_text() == text
    assert place.bring_about(place.site()) == []


def test_a_link_goes_and_a_folder_stays(place: Place) -> None:
    site = place.site()
    link = place.config_dir / "sites-enabled/default"
    (told,) = [one for one in place.nginx(site).changes() if one.path == link]
    assert (told.before, told.after, told.kept_as) == (f"link to {link.readlink()}\n", "", None)
    link.unlink()
    link.mkdir()
    with pytest.raises(NginxError, match=f"{link} is a folder"):
        place.nginx(site).changes()


def test_a_key_is_tested_in_memory_where_there_is_some(
    place: Place, pem: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """/run is never written to a disk, unlike /tmp; a machine without it has the usual place."""
    made: list[str | None] = []
    real = tempfile.TemporaryDirectory

    def watched(*given: Any, **named: Any) -> Any:
        made.append(named.get("dir"))
        return real(*given, **named)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", watched)
    for folder, expected in ((tmp_path, str(tmp_path)), (tmp_path / "none", None)):
        nginx = place.nginx(place.site(pem=pem()), run_dir=folder)
        nginx.put_in_place(nginx.changes())
        assert made.pop() == expected


def test_looking_changes_nothing(place: Place) -> None:
    before = place.files()
    nginx = place.nginx(place.site(logs=("hello.access.log",), pem="secret"))
    assert [change.path.name for change in nginx.changes()] == [
        "hello.access.log",
        "default",
        "hello.pem",
        "hello.conf",
    ]
    assert not nginx.runs()
    assert nginx.active
    assert place.files() == before
    assert not (place.folder / "log/hello.access.log").exists()


def test_what_nginx_refuses_changes_nothing(place: Place) -> None:
    place.bring_about(place.site())
    before = place.files()
    nginx = place.nginx(place.site("no_such_directive on;"))
    with pytest.raises(NginxError, match="no_such_directive") as error:
        nginx.put_in_place(nginx.changes())
    assert f"{place.config_dir}/conf.d/hello.conf:4" in str(error.value)
    assert place.files() == before
    assert place.nginx(place.site()).runs()


def test_others_sites_are_tested_with_it(place: Place) -> None:
    (place.config_dir / "conf.d/other.conf").write_text("no_such_directive on;\n")
    nginx = place.nginx(place.site())
    with pytest.raises(NginxError, match=f"{place.config_dir}/conf.d/other.conf:1"):
        nginx.put_in_place(nginx.changes())
    # A conflict is one of both together: two servers that want to be the default.
    other = place.config_dir / "conf.d/other.conf"
    other.write_text(f"server {{ listen 127.0.0.1:{place.port} default_server; }}\n")
    with pytest.raises(NginxError, match="duplicate default server"):
        nginx.put_in_place(nginx.changes())
    other.unlink()
    nginx.put_in_place(nginx.changes())


def test_a_folder_that_nobody_includes_is_noticed(place: Place) -> None:
    main = place.config_dir / "nginx.conf"
    main.write_text(main.read_text().replace(f"include {place.config_dir}/conf.d/*.conf;", ""))
    nginx = place.nginx(place.site())
    with pytest.raises(NginxError, match=r"does not include .*/conf\.d/\*\.conf"):
        nginx.put_in_place(nginx.changes())


def test_relative_includes_count(place: Place) -> None:
    main = place.config_dir / "nginx.conf"
    main.write_text(main.read_text().replace(f"include {place.config_dir}/", "include "))
    place.bring_about(place.site())
    nginx = place.nginx(place.site("no_such_directive on;"))
    with pytest.raises(NginxError, match="no_such_directive"):
        nginx.put_in_place(nginx.changes())


def test_a_stop_before_the_reload_is_made_good(place: Place) -> None:
    nginx = place.nginx(place.site())
    nginx.put_in_place(nginx.changes())
    again = place.nginx(place.site())
    assert again.changes() == []
    assert not again.runs()
    assert place.bring_about(place.site()) == []


def test_a_port_that_is_taken_is_found_out(place: Place) -> None:
    place.bring_about(place.site())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = place.site()
        moved = replace(
            site,
            text=site.text.replace(str(place.port), str(port)),
            generation_url=f"http://127.0.0.1:{port}/g",
        )
        nginx = place.nginx(moved, ClockOfLog(place.folder / "log/error.log", f":{port} failed"))
        nginx.put_in_place(nginx.changes())
        taken.settimeout(0)
        with pytest.raises(NginxError, match=rf"does not answer .* bind\(\) to 127.0.0.1:{port} failed"):
            nginx.make_run(20)
    place.process.poll()
    assert place.process.returncode is None


def test_certificate_and_key_belong_to_the_configuration(place: Place, pem: Callable[[], str]) -> None:
    port = free_port()
    site = place.site(
        f"listen 127.0.0.1:{port} ssl; ssl_certificate {place.config_dir}/hello.pem;"
        f" ssl_certificate_key {place.config_dir}/hello.pem;"
    )
    first, second = replace(site, pem=pem()), replace(site, pem=pem())
    assert place.bring_about(first) == ["default", "hello.pem", "hello.conf"]
    assert (place.config_dir / "hello.pem").stat().st_mode & 0o777 == 0o600
    # Rotated: the text is the same, and NGINX has to read it again.
    assert place.bring_about(second) == ["hello.pem", "hello.conf"]
    assert (place.config_dir / "hello.pem").read_text() == second.pem
    told = "".join(change.before + change.after for change in place.nginx(first).changes())
    assert "PRIVATE KEY" not in told
    assert "BEGIN" not in told
    # A pair that does not belong together is refused, and the one before stays.
    mixed = replace(site, pem=first.pem.partition("-----BEGIN PRIVATE")[0] + second.pem)
    nginx = place.nginx(replace(mixed, pem=mixed.pem.replace("-----END CERTIFICATE-----", "x", 1)))
    with pytest.raises(NginxError, match=f"{place.config_dir}/hello.pem"):
        nginx.put_in_place(nginx.changes())
    assert (place.config_dir / "hello.pem").read_text() == second.pem
    # Without TLS the key goes, last of all.
    assert place.bring_about(place.site()) == ["hello.conf", "hello.pem"]
    assert not (place.config_dir / "hello.pem").exists()


def test_each_name_has_a_certificate_of_its_own(place: Place, pem: Callable[[], str]) -> None:
    port = free_port()

    def files(name: str) -> str:
        return f"ssl_certificate {place.config_dir}/{name}.pem; ssl_certificate_key {place.config_dir}/{name}.pem;"

    site = place.site(
        f"listen 127.0.0.1:{port} ssl; {files('hello')} }}\nserver {{ listen 127.0.0.1:{port} ssl; "
        f"server_name p.example.org; {files('hello.p.example.org')}"
    )
    first, other = pem(), pem()
    told = replace(site, pem=first, more_pems={"p.example.org": other})
    assert place.bring_about(told) == ["default", "hello.pem", "hello.p.example.org.pem", "hello.conf"]
    assert (place.config_dir / "hello.p.example.org.pem").stat().st_mode & 0o777 == 0o600
    # Rotated alone, it is read again.
    rotated = replace(told, more_pems={"p.example.org": pem()})
    assert place.bring_about(rotated) == ["hello.p.example.org.pem", "hello.conf"]
    # One that does not belong together is refused by name, and changes nothing.
    mixed = other.partition("-----BEGIN PRIVATE")[0] + first[first.index("-----BEGIN PRIVATE") :]
    nginx = place.nginx(
        replace(told, more_pems={"p.example.org": mixed.replace("-----END CERTIFICATE-----", "x", 1)})
    )
    with pytest.raises(NginxError, match=f"{place.config_dir}/hello.p.example.org.pem"):
        nginx.put_in_place(nginx.changes())
    assert (place.config_dir / "hello.p.example.org.pem").read_text() == rotated.more_pems["p.example.org"]
    # A name that is gone takes its key along; files of others stay.
    strange = place.config_dir / "hello-other.pem"
    strange.write_text("x")
    assert place.bring_about(place.site(pem=first)) == ["hello.conf", "hello.p.example.org.pem"]
    assert strange.exists()


def test_a_site_without_further_names_is_the_same_as_ever(place: Place) -> None:
    """Another sum would make the NGINX of every site read its files again."""
    site = place.site(pem="secret")
    told = hashlib.sha256(f"{site.text}\0secret".encode()).hexdigest()[:16]
    assert place.nginx(site).generation == told
    assert place.nginx(replace(site, more_pems={"a": "b"})).generation != told


def test_modes_are_put_right(place: Place) -> None:
    site = place.site(logs=("hello.access.log",))
    place.bring_about(site)
    for path in (place.folder / "log/hello.access.log", place.config_dir / "conf.d/hello.conf"):
        path.chmod(0o666)
    (place.folder / "log/hello.access.log").write_text("a line\n")
    assert place.bring_about(site) == ["hello.access.log", "hello.conf"]
    assert (place.folder / "log/hello.access.log").read_text() == "a line\n"
    assert (place.folder / "log/hello.access.log").stat().st_mode & 0o777 == 0o640
    assert place.bring_about(site) == []


def test_an_nginx_that_does_not_run_is_said_so(place: Place) -> None:
    place.bring_about(place.site())
    place.process.terminate()
    place.process.wait(60)
    nginx = place.nginx(place.site())
    assert not nginx.runs()
    assert not nginx.active
    with pytest.raises(NginxError, match="does not reload"):
        nginx.make_run(20)
