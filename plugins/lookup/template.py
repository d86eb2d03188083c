# Copyright: Ironbinder maintainers
# BSD 3-Clause License (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A template's text, without a copy of every variable of the play."""

from __future__ import annotations

DOCUMENTATION = r"""
name: template
short_description: Render templates of a role
version_added: 0.1.0
author: Ironbinder maintainers (@ironbinder)
description:
  - Renders as the lookup P(ansible.builtin.template#lookup) does with its defaults, and as the action M(ansible.builtin.template)
    works, on the variables themselves. The lookup of Ansible copies all of them, with the facts of the host, for each file, which
    takes more of the controller's time than the rendering.
options:
  _terms:
    description: Names of files in the role's folder C(templates), or paths.
    required: true
"""

EXAMPLES = r"""
- name: Show what the machine would get
  ansible.builtin.debug:
    msg: "{{ lookup('ironbinder.platform.template', 'hosts.j2') }}"
"""

RETURN = r"""
_raw:
  description: The rendered texts.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template

# What Ansible writes by default where a template says {{ ansible_managed }}.
MANAGED = "Ansible managed"


class LookupModule(LookupBase):
    """Finds and renders."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        """Return the text of each template."""
        self.set_options(var_options=variables, direct=kwargs)
        return [self._rendered(str(term), variables or {}) for term in terms]

    def _rendered(self, name: str, variables: Any) -> Any:
        path = self.find_file_in_search_path(variables, "templates", name)
        if not path:
            raise AnsibleLookupError(f"There is no template {name!r} in the role's folder templates.")
        known = {"ansible_managed": MANAGED, **variables}
        templar = self._templar.copy_with_new_env(
            available_variables=known, searchpath=[str(Path(path).parent)]
        )
        text = trust_as_template(self._loader.get_text_file_contents(path))
        return templar.template(text, escape_backslashes=False)
