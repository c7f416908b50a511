# The verbs of this project; CI calls the same. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
RUN_EXTRAS := hub,services,notebook
DEV_EXTRAS := $(RUN_EXTRAS),dev,docs
DECLARED := pyproject.toml constraints.txt tools/bootstrap
STATE := demo-state
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH):/usr/sbin:/sbin

.PHONY: help
help: ## Show the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | column -t -s '|'

.PHONY: demo
demo: for-running .venv/ready-run node_modules/ready ## Run the product on this machine, at PORT (8000); Ctrl-C ends it
	@exec jupyterhub-collab --state $(STATE) demo

.PHONY: demo-clean
demo-clean: ## Remove all that the demo kept
	@if [ -e $(STATE)/lock ] && ! flock --nonblock $(STATE)/lock true; then \
		echo "The demo is running. End it first, with Ctrl-C where it runs." >&2; exit 1; fi
	@rm -rf $(STATE)

.PHONY: demo-check
demo-check: for-browsing .venv/ready-dev node_modules/ready ## Start the demo, walk the main job by API and browser, stop it
	@exec pytest tests/system/test_main_job.py tests/browser/test_main_job.py

.PHONY: test
test: for-testing .venv/ready-dev node_modules/ready ## Run the tests (about 15 minutes)
	@exec pytest -m 'not long and not cluster'

.PHONY: test-long
test-long: for-testing .venv/ready-dev node_modules/ready ## Run the counted tests: races, kills, random requests
	@exec pytest -m long --timeout 0 --capture=no

.PHONY: test-cluster
test-cluster: cluster-parts node_modules/ready ## Run the tests on a real Kubernetes (about 20 minutes, from nothing 35)
	@exec pytest -m cluster --timeout 900 tests/cluster

.PHONY: cluster-parts
cluster-parts: for-cluster .venv/ready-dev ## Build the programs and images of that Kubernetes, as far as they are not kept
	@python -m tests.cluster build
	@python -m tests.cluster.images >/dev/null

.PHONY: bench
bench: for-testing .venv/ready-dev node_modules/ready ## Measure; BENCH=name for one figure
	@exec python -m tests.bench $(BENCH)

.PHONY: lint
lint: .venv/ready-dev ## Check style, types and the direction of imports
	ruff check --output-format concise
	ruff format --check
	mypy
	lint-imports --no-cache

.PHONY: docs
docs: .venv/ready-dev ## Build the manual into docs/_build/html
	sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

.PHONY: constraints
constraints: .venv/ready-dev ## Pin the newest versions of everything
	uv pip compile pyproject.toml tools/requirements.in --all-extras --universal --python-version 3.11 \
		--upgrade --no-header --no-annotate --quiet --output-file constraints.txt
	python -m images.locks

# What the verbs stand on. A stamp stands for what was installed from the files behind it.

.PHONY: for-running for-browsing for-testing for-cluster
for-running:
	@tools/bootstrap system bubblewrap
for-browsing:
	@tools/bootstrap system bubblewrap chromium
for-testing:
	@tools/bootstrap system bubblewrap chromium postgresql
for-cluster:
	@tools/bootstrap system chromium postgresql buildah debootstrap default-jre-headless jq maven prometheus \
		containerd runc containernetworking-plugins iptables iproute2 busybox-static

.venv/ready-run: $(DECLARED)
	@tools/bootstrap venv $(RUN_EXTRAS)
	@touch $@

.venv/ready-dev: $(DECLARED)
	@tools/bootstrap venv $(DEV_EXTRAS)
	@touch .venv/ready-run $@

node_modules/ready: package.json package-lock.json | .venv/ready-run
	@tools/bootstrap modules
	@touch $@
