#!/usr/bin/python
# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Launches a repository on a BinderHub, as a person would, and says how long each phase took."""

from __future__ import annotations

DOCUMENTATION = r"""
module: binder_launch
short_description: Prove that a BinderHub builds, pushes and launches a repository
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Asks a BinderHub to build and launch a repository by its public URL, through every proxy a person's browser would meet,
    follows the phases and times them.
  - Then opens the notebook's API and a websocket with the launch token, starts a kernel, lets it compute and looks for what
    is expected of the session, shuts the server down and waits until it is gone.
  - A build that failed is a failure whatever comes after it. BinderHub 0.1.0 says C(built) and C(launching) even then.
  - A session whose image can never be pulled ends the launch at once, with what to do about it.
  - It starts a server and stops it again, so that nothing of it lasts but the image in the registry, and it reports no change.
extends_documentation_fragment: [ironbinder.platform.verifier]
requirements: [websocket-client]
options:
  provider:
    description: Provider of the repository, as in a Binder link, for example V(gh), V(gl), V(git) or V(zenodo).
    type: str
    required: true
  spec:
    description:
      - The repository and its ref, as in a Binder link, for example C(binder-examples/requirements/HEAD).
      - For provider V(git) the repository's URL may be written plainly, C(https://git.example.org/course.git/main).
    type: str
    required: true
  hub_url:
    description: Public URL of the JupyterHub. When given, a server that is said to be elsewhere is a failure.
    type: str
    default: ""
  registry_url:
    description:
      - Scheme and host of the registry that BinderHub pushes to, for example C(https://registry.example.org:5000).
      - When BinderHub cannot begin with a build and does not say why, the registry is asked, by BinderHub's own health check
        and, with this option, by a request without an account from where the module runs.
    type: str
    default: ""
  timeout_seconds:
    description: Time from the request until the server is ready.
    type: int
    default: 1800
  silence_seconds:
    description:
      - Time without a single byte after which the stream counts as dead.
      - BinderHub sends a keepalive every 25 to 30 seconds.
    type: int
    default: 90
  build_token:
    description: Token that spares the launch BinderHub's rate limit of requests without one.
    type: str
    default: ""
  build_token_secret:
    description:
      - BinderHub.build_token_secret in hexadecimal digits, by which a token is made where O(build_token) is empty.
      - Where BinderHub does not take that token, the launch is one without.
    type: str
    default: ""
  hub_token:
    description:
      - Token of the hub at O(hub_url), where people have to sign in. It is shown to BinderHub, to the hub and to the server.
      - It needs the scopes C(access:services!service=binder), and C(access:servers) and C(delete:servers) of the account of its
        name, for which BinderHub launches.
    type: str
    default: ""
  keep_server:
    description: Leave the server running, to look at its pod. Its token is not returned.
    type: bool
    default: false
  check_api:
    description: Whether to open the notebook's API and a websocket.
    type: bool
    default: true
  check_kernel:
    description:
      - Whether to start a kernel and to let it compute. Needs O(check_api).
      - A Python kernel runs a cell with numbers made up for it, so that nothing on the way can know the answer. A kernel of
        another language has only to answer who it is.
    type: bool
    default: true
  kernel_timeout_seconds:
    description: Time for all that O(check_kernel) and O(expect) do, 1 to 3600. The kernel's end has ten seconds more.
    type: int
    default: 120
  expect:
    description: What the session has to have, besides a kernel that computes. Needs O(check_kernel).
    type: dict
    default: {}
    suboptions:
      files:
        description:
          - Files or folders, below the folder that the notebook opens in. Hidden ones are not seen, as a notebook does not
            show them.
        type: list
        elements: str
        default: []
      packages:
        description:
          - Python packages of the kernel, by the name that one imports, or by that of the distribution. A module of that name
            has to be importable; where there is none, a distribution of that name has to be installed.
        type: list
        elements: str
        default: []
      code:
        description: A cell to run in the kernel's own language. It must not raise.
        type: str
        default: ""
      output:
        description:
          - What the cell in O(expect.code) has to print, or to have as its value; white space at both ends does not count.
          - Where a kernel of another language than Python gives no value, as R's, it is what the cell displays.
          - Without it the cell only has to run.
        type: str
      kernel:
        description: Name of the kernelspec to start. Empty for the server's default.
        type: str
        default: ""
  fail_when_buffered:
    description: Whether a build log that something on the way holds back is a failure, not only a warning.
    type: bool
    default: false
attributes:
  check_mode:
    description: Whether it can run in check mode.
    support: partial
    details: Nothing is launched and nothing is checked; the task is reported as skipped.
  diff_mode:
    description: Whether it shows a difference.
    support: none
  idempotent:
    description: Whether it can run again.
    support: full
    details: Every run launches anew and leaves nothing behind that the run before did not. V(changed) is always false.
"""

EXAMPLES = r"""
- name: Launch a repository
  ironbinder.platform.binder_launch:
    url: https://binder.example.org/binderhub/
    hub_url: https://binder.example.org/jupyterhub/
    provider: gh
    spec: binder-examples/requirements/HEAD
    fail_when_buffered: true
    expect:
      files: [index.ipynb]
      packages: [numpy, matplotlib]
  delegate_to: localhost
  register: launch

- name: Say how long it took
  ansible.builtin.debug:
    var: launch.summary
"""

RETURN = r"""
summary:
  description: The launch in one line.
  returned: success
  type: str
  sample: "launch verified in 5.0 s, image found in the registry: waiting 0.5 | launching 4.5; then notebook 0.1 | kernel 1.2"
phases:
  description:
    - Seconds of each phase, in order of first appearance. C(waiting) counts from the request.
    - C(kernel) comes after the launch and is not in RV(total_seconds).
  returned: when a stream was opened
  type: dict
  sample: {waiting: 0.412, fetching: 0.611, building: 3.902, pushing: 24.093, built: 0.001, launching: 1.984, kernel: 1.204}
timeline:
  description: Every stretch of a phase in order, with C(name), C(start_seconds) since the request, and C(seconds).
  returned: when a stream was opened
  type: list
  elements: dict
total_seconds:
  description: Seconds from the request until the server was ready, or the launch failed.
  returned: when a stream was opened
  type: float
image:
  description: The image that was launched.
  returned: when a stream was opened
  type: str
built_now:
  description: Whether the image was built for this launch. Else it was found in the registry.
  returned: when a stream was opened
  type: bool
buffered:
  description: Whether something on the way holds the stream back.
  returned: when a stream was opened
  type: bool
buffered_evidence:
  description: What shows it.
  returned: when a stream was opened
  type: str
server_url:
  description: URL of the server, without its token.
  returned: when a stream was opened
  type: str
api:
  description: What the notebook's C(api/status) says.
  returned: success and O(check_api)
  type: dict
api_seconds:
  description: Seconds from ready until the API answered.
  returned: success and O(check_api)
  type: float
websocket:
  description: Whether a websocket opens. Null where the server is older than Jupyter Server 2 and cannot tell.
  returned: success and O(check_api)
  type: bool
kernel:
  description:
    - The kernel that was started, with C(name) of its kernelspec and C(language), and C(computed), whether it gave the right
      answer. A kernel of another language than Python is not asked, C(computed) stays false.
    - C(missing) lists what was expected and is not there, each with its cause, where it was looked for.
  returned: when a kernel was asked for
  type: dict
  sample: {name: python3, language: python, computed: true, missing: []}
kernel_seconds:
  description: Seconds from the notebook's answer until the kernel had given all of its own, or had failed.
  returned: when a kernel was asked for
  type: float
server_stopped:
  description: Whether the server was seen to be gone.
  returned: when a server was started
  type: bool
versions:
  description: What BinderHub says of its versions; empty where it is too old to say.
  returned: when BinderHub was reached
  type: dict
url:
  description: The BinderHub's URL.
  returned: always
  type: str
kind:
  description:
    - Short name of the failure, for programs.
    - Nothing usable answered, C(unreachable), C(tls), C(request), C(closed), C(redirect), C(sign_in), C(not_found),
      C(proxy), C(http), C(not_a_stream).
    - BinderHub would not begin, C(repository), C(provider), C(banned), C(quota), C(rate_limit), C(provider_rate_limit),
      C(build_token), C(sign_in), C(registry).
    - On a hub where people sign in, C(hub_token) for a token that the hub does not know, C(hub_scope) for one that may too
      little, C(hub_account) for an account that is not there, C(hub) for what is no hub at all, and C(sign_in_off) for a
      BinderHub that asks nobody.
    - A phase failed, C(fetch), C(build), C(push), C(launch). The stream did, C(silent), C(timeout), C(truncated).
    - The launch worked and is of no use, C(hub_url), C(api), C(websocket), C(buffered).
    - So is its kernel, C(kernels_api), C(kernelspec), C(kernel_start), C(kernel_websocket), C(kernel_died), C(kernel_silent),
      C(kernel_error), C(kernel_output), C(kernel_language), and C(contents_api) where it does not tell what files it has.
    - The session lacks what is expected, C(expect_file), C(expect_package), C(expect_output).
  returned: failure
  type: str
log:
  description: The last lines that BinderHub and the build said, or those of a cell's traceback.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.errors import VerifyError
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.launch import Launch, LaunchRequest
from ansible_collections.ironbinder.platform.plugins.module_utils._verify.options import (
    KERNEL_SECONDS,
    SHARED_OPTIONS,
    transport_of,
)

EXPECTED = {
    "files": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "list", "elements": "str", "default": []},
    "code": {"type": "str", "default": ""},
    "output": {"type": "str"},
    "kernel": {"type": "str", "default": ""},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **SHARED_OPTIONS,
            "provider": {"type": "str", "required": True},
            "spec": {"type": "str", "required": True},
            "hub_url": {"type": "str", "default": ""},
            "registry_url": {"type": "str", "default": ""},
            "timeout_seconds": {"type": "int", "default": 1800},
            "silence_seconds": {"type": "int", "default": 90},
            "build_token": {"type": "str", "default": "", "no_log": True},
            "build_token_secret": {"type": "str", "default": "", "no_log": True},
            "hub_token": {"type": "str", "default": "", "no_log": True},
            "keep_server": {"type": "bool", "default": False},
            "check_api": {"type": "bool", "default": True},
            "check_kernel": {"type": "bool", "default": True},
            "kernel_timeout_seconds": {"type": "int", "default": 120},
            "expect": {"type": "dict", "default": {}, "options": EXPECTED},
            "fail_when_buffered": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = dict(module.params)
    if params["hub_token"] and not params["hub_url"]:
        module.fail_json(
            msg="hub_token is of no use without hub_url, where its hub is",
            kind="request",
            url=params["url"],
            log=[],
        )
    least, most = KERNEL_SECONDS
    if not least <= params["kernel_timeout_seconds"] <= most:
        module.fail_json(
            msg=f"kernel_timeout_seconds is {params['kernel_timeout_seconds']}: use {least} to {most}",
            kind="request",
            url=params["url"],
            log=[],
        )
    if module.check_mode:
        module.exit_json(
            changed=False, skipped=True, url=params["url"], msg="Check mode: nothing was launched."
        )
    try:
        transport = transport_of(params)
        request = {
            name: value for name, value in params.items() if name not in ("ca_files", "validate_certs")
        }
        result = Launch(LaunchRequest(**request), transport).run()
    except VerifyError as error:
        text = "\n  ".join([str(error), *error.log])
        for warning in error.facts.pop("warnings", []):
            module.warn(warning)
        module.fail_json(msg=text, kind=error.kind, log=error.log, **{"url": params["url"], **error.facts})
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
