# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The client against a small HTTP server that answers as the Kubernetes API does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from ansible_collections.ironbinder.platform.plugins.module_utils._kube.api import KubeError, connect


class Api(BaseHTTPRequestHandler):
    """Knows one namespace, one log, and an account that may not read secrets."""

    def _send(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        url = urlsplit(self.path)
        self.server.tokens.add(self.headers.get("Authorization"))
        if url.path == "/api/v1/namespaces/ns":
            self._send(200, json.dumps({"kind": "Namespace", "query": parse_qs(url.query)}))
        elif url.path.endswith("/log"):
            self._send(200, "one\ntwo ä\n")
        elif url.path.endswith("/secrets"):
            self._send(403, json.dumps({"kind": "Status", "reason": "Forbidden", "code": 403}))
        else:
            self._send(404, json.dumps({"kind": "Status", "reason": "NotFound", "code": 404}))

    do_DELETE = do_GET

    def log_message(self, *_arguments):
        """Keep the test's output clean."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as instance:
        instance.tokens = set()
        threading.Thread(target=instance.serve_forever, daemon=True).start()
        yield instance
        instance.shutdown()


@pytest.fixture
def kubeconfig(tmp_path, server):
    file = tmp_path / "config"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def test_objects_logs_and_what_is_not_there(kubeconfig, server):
    api = connect(kubeconfig)
    found = api.get("/api/v1/namespaces/ns", labelSelector="a=b")
    assert found == {"kind": "Namespace", "query": {"labelSelector": ["a=b"]}}
    assert api.get("/api/v1/namespaces/other") is None
    assert api.text("/api/v1/namespaces/ns/pods/p/log", tailLines="5") == "one\ntwo ä\n"
    api.delete("/api/v1/namespaces/other")
    assert server.tokens == {"Bearer t"}


def test_a_refusal_has_its_status(kubeconfig):
    with pytest.raises(KubeError, match=r"GET /api/v1/secrets at http.*403") as caught:
        connect(kubeconfig).get("/api/v1/secrets")
    assert caught.value.status == 403


def test_no_answer_is_said(kubeconfig, server):
    api = connect(kubeconfig)
    server.shutdown()
    server.server_close()
    with pytest.raises(KubeError, match="does not answer") as caught:
        api.get("/api/v1/namespaces/ns")
    assert caught.value.status == 0


@pytest.mark.parametrize("content", ["", "host1\n", "a: [", "{}", "clusters: 5"])
def test_what_is_no_kubeconfig_is_refused(tmp_path, content):
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(KubeError, match="site_kubeconfig_file"):
        connect(str(file))
