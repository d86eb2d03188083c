# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's door to `base_image.context_of` and `base_image.tag_of`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: base_image_context
short_description: Compute what the base of people's images is built from
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Gives the files of a C(docker build) that adds the site's CAs and package mirrors to an image.
  - Gives a tag too, which names their content.
options:
  _input:
    description: Image to start from, with a tag or a digest. Empty for none.
    type: str
    required: true
  ca_certificates:
    description: PEM text with the site's CAs. Nothing but certificates is taken from it.
    type: str
    default: ""
  pip_index_url:
    description: Index that pip asks. Empty leaves the base's.
    type: str
    default: ""
  conda_channel_alias:
    description: Where conda and mamba look for channels. Empty leaves the base's.
    type: str
    default: ""
  apt_mirrors:
    description: URLs in the base's package sources, each with the one in its place.
    type: dict
    default: {}
  environment:
    description: Further variables, {name value}.
    type: dict
    default: {}
  revision:
    description: Another number makes the image anew of the same.
    type: int
    default: 1
"""

EXAMPLES = r"""
- name: Show what the base is made of
  ansible.builtin.debug:
    msg: "{{ ('docker.io/library/buildpack-deps:24.04' | ironbinder.platform.base_image_context(
                ca_certificates=lookup('ansible.builtin.file', 'ca.crt'))).files.Dockerfile }}"
"""

RETURN = r"""
_value:
  description: C(tag), and C(files), {name text}. Both are empty without an image to start from, and where a value may not go into
    one; C(fault), {variable observed}, says which, for preflight to find.
  type: dict
"""

from typing import Any

from ansible_collections.ironbinder.platform.plugins.plugin_utils.site.base_image import (
    BaseImage,
    BaseImageError,
    context_of,
    tag_of,
)


def base_image_context(base: str, **settings: Any) -> dict[str, Any]:
    """Give the files, or what is wrong: preflight reports it as one finding, and nothing is built of no files."""
    nothing: dict[str, Any] = {"tag": "", "files": {}, "fault": {}}
    if not base:
        return nothing
    try:
        files = context_of(BaseImage(base=str(base), **settings))
    except BaseImageError as error:
        return {**nothing, "fault": {"variable": error.variable, "observed": error.observed}}
    except (
        TypeError,
        AttributeError,
        ValueError,
    ):  # a value of another type, which the rule wrong-type finds
        return nothing
    return {"tag": tag_of(files), "files": files, "fault": {}}


class FilterModule:
    """Names the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filters of this file by name."""
        return {"base_image_context": base_image_context}
