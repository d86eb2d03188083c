# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A real NGINX on this computer, in a folder of its own and on ports of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine")


def start_nginx(main: Path, port: int, log: Path) -> subprocess.Popen[str]:
    """Run NGINX in the foreground, and return it once it listens on `port`."""
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-g", "daemon off;", "-c", main], text=True, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, log.read_text()
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    process.terminate()
    raise AssertionError("nginx does not listen")


def debian_folder(folder: Path, port: int) -> Path:
    """Make a folder like Debian's /etc/nginx, whose default site listens on `port`; return it."""
    config_dir = folder / "nginx"
    for name in ("conf.d", "sites-available", "sites-enabled"):
        (config_dir / name).mkdir(parents=True)
    (folder / "log").mkdir()
    (config_dir / "mime.types").write_text("types { text/plain txt; }\n")
    (config_dir / "nginx.conf").write_text(
        f"pid {folder}/pid;\nerror_log {folder}/log/error.log;\nevents {{}}\nhttp {{\n"
        f"    include mime.types;\n    access_log off;\n    client_body_temp_path {folder}/body;\n"
        f"    proxy_temp_path {folder}/proxy;\n    fastcgi_temp_path {folder}/fastcgi;\n"
        f"    uwsgi_temp_path {folder}/uwsgi;\n    scgi_temp_path {folder}/scgi;\n"
        f"    include {config_dir}/conf.d/*.conf;\n    include {config_dir}/sites-enabled/*;\n}}\n"
    )
    default = config_dir / "sites-available/default"
    default.write_text(f"server {{ listen 127.0.0.1:{port} default_server; return 200 default; }}\n")
    (config_dir / "sites-enabled/default").symlink_to(default)
    return config_dir
