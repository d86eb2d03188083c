# Every verb of Ironbinder in one line each; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Outside the checkout, keyed by pins, safe to delete.
export IRONBINDER_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ironbinder
PYTHON ?= python3.11
VENV := $(IRONBINDER_CACHE)/venv-$(shell sha256sum requirements.txt | cut -c1-12)
BIN := $(VENV)/bin
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
LAB := inventories/lab
LAB_STATE := $(CURDIR)/$(LAB)/.lab
SITE ?= lab

.PHONY: help
help: ## list every verb
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'
	@echo "  ARGS=... goes on to ansible-playbook: make run SITE=stfc ARGS=--ask-become-pass"

# What make run and the other verbs hand on to ansible-playbook, and what make run plays.
ARGS ?=
PLAY ?= site.yml

.PHONY: setup
setup: ## install what the controller needs into a virtual environment in the cache
# Its name has the digest of requirements.txt, whose time of change is that of the clone.
	@tests/tools/venv "$(PYTHON)" "$(VENV)"

# helm and kubectl as the lab builds them.
export IRONBINDER_HELM ?= $(IRONBINDER_CACHE)/bin/helm

.PHONY: lab-artifacts
lab-artifacts: setup ## build from source what the lab's mirror serves
	@mkdir -p "$(LAB_STATE)" && chmod 0700 "$(LAB_STATE)"
	@"$(BIN)/python" lab/artifacts/build.py --cache-dir "$(IRONBINDER_CACHE)" --go "$(BIN)/go" --output "$(LAB_STATE)/artifacts.json" \
	  --progress "$(LAB_STATE)/progress.json" --machines $(or $(LAB_MACHINES),0) $(if $(IRONBINDER_LONG),--long)

# Another checkout's lab is found before half an hour was spent on building for this one. TAKE_OVER=yes removes it.
.PHONY: whose
whose: setup
	@"$(BIN)/python" lab/whose.py refuse --state-dir "$(LAB_STATE)" --take-over "$(TAKE_OVER)"

.PHONY: machines
machines: LAB_MACHINES = 6
machines: whose lab-artifacts ## start the lab's machines, with nothing on them (TAKE_OVER=yes)
	@TAKE_OVER="$(TAKE_OVER)" ansible-playbook -i $(LAB) lab/up.yml -e "@$(LAB_STATE)/progress.json"

.PHONY: lab
lab: machines ## bare machines to a verified launch, on this computer (TAKE_OVER=yes)
	@ansible-playbook -i $(LAB) site.yml

.PHONY: verify
verify: setup ## one more launch, timed (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/verify.yml $(ARGS)

.PHONY: corpus
corpus: setup ## launch each repository of site_verify_corpus, side by side (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/corpus.yml $(ARGS)

.PHONY: down
down: setup ## remove everything the lab made
	@TAKE_OVER="$(TAKE_OVER)" ansible-playbook lab/down.yml

.PHONY: site
site: setup ## make inventories/NAME: `make site NAME=stfc`
	@ansible-playbook playbooks/new_site.yml -e site_name="$(NAME)"

.PHONY: preflight
preflight: setup ## check a site without changing anything (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/preflight.yml $(ARGS)

.PHONY: secrets
secrets: setup ## give hubs that were added to site_hubs their tokens, in the site's secrets.yml (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/secrets.yml $(ARGS)

.PHONY: status
status: setup ## tell how a site stands: nodes, hubs, snapshots, days left of certificates (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/status.yml $(ARGS)

.PHONY: capacity
capacity: setup ## count sessions and builds that a site bears, into its group_vars/all/capacity.yml (SITE=lab)
	@ansible-playbook -i inventories/$(SITE) playbooks/capacity.yml --diff $(ARGS)

.PHONY: artifacts
artifacts: setup ## list what a site fetches, for its mirror (SITE=lab, ARGS="-e artifacts_file=FILE")
	@ansible-playbook -i inventories/$(SITE) playbooks/artifacts.yml $(ARGS)

.PHONY: run
run: setup ## set a site up, or right: `make run SITE=stfc`; one stage: PLAY=playbooks/proxy.yml
	@ansible-playbook -i inventories/$(SITE) $(PLAY) $(ARGS)

.PHONY: shell
shell: setup ## a shell that finds ansible-playbook and all it needs
	@exec "$${SHELL:-/bin/sh}"

.PHONY: lint
lint: setup ## ansible-lint, yamllint, ruff, mypy, vermin, codespell
	@ruff check . && ruff format --check .
	@mypy && mypy --config-file tests/mypy.ini
# What travels has to run on the Python of the oldest machine.
	@vermin --quiet --target=3.9- --no-tips --violations plugins/module_utils plugins/modules roles/*/files
	@yamllint --strict .
	@ansible-lint --offline
	@tests/tools/role_readme.py --check && tests/tools/site_rules.py --check && tests/tools/site_ports.py --check
	@codespell

.PHONY: unit
unit: lab-artifacts ## unit tests of all Python
	@pytest tests/unit --numprocesses 2 --dist loadfile

# By itself: counting lines takes as long again as the tests.
.PHONY: coverage
coverage: lab-artifacts ## unit tests, and which lines they do not reach
	@pytest tests/unit --numprocesses 2 --dist loadfile --cov=plugins --cov-report=term:skip-covered

.PHONY: sanity
sanity: setup ## ansible-test sanity on a staged copy, and a build of the collection
	@tests/tools/sanity

# What people open the hubs with, and what tells it of CAs.
.PHONY: chromium
chromium:
	@tests/tools/apt_install chromium libnss3-tools

.PHONY: browser
browser: setup chromium ## open the hubs in a real browser, as people do (SITE=lab, ARGS=--screenshots=docs/images)
	@pytest tests/infra/test_browser.py --ansible-inventory=inventories/$(SITE) --browser=/usr/bin/chromium $(ARGS)

.PHONY: scenarios
scenarios: chromium lab-artifacts ## every molecule scenario; `default` is the whole pipeline
	tests/tools/scenarios proxy connected default $(if $(IRONBINDER_LONG),interrupted)

.PHONY: readme
readme: lab-artifacts ## run every command that README shows
	@tests/tools/readme_commands.py

.PHONY: test
test: whose lint unit sanity scenarios readme ## everything

.PHONY: test-full
test-full: export IRONBINDER_LONG = yes
test-full: test ## everything, and the long forms of what has a short one
	tests/tools/scenarios upgrade

.PHONY: bench
bench: lab-artifacts ## measure beside an earlier commit and a shell floor, into docs/performance.md
	@"$(BIN)/python" tests/bench/guard.py
	@"$(BIN)/python" tests/bench/growth.py hosts
	@"$(BIN)/python" tests/bench/bench.py $(if $(COLD),--cold) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(BASE),--base $(BASE))
	@"$(BIN)/python" tests/bench/hubs.py $(if $(ROUNDS),--rounds $(ROUNDS))
	@"$(BIN)/python" tests/bench/growth.py workers $(if $(ROUNDS),--rounds $(ROUNDS))
