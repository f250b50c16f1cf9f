# Everything is a make target; `make` lists them. A new file in experiments/ or studies/ has its targets at once.
SHELL := /bin/bash
PYTHON ?= python3
FAULTS := tests/services tests/test_cluster_page.py tests/harness/train $(addprefix tests/harness/test_, leases.py \
  database.py reconcile.py executor.py slurm.py status.py) tests/harness/search/test_retries.py tests/harness/search/test_study.py \
  tests/harness/search/test_storage.py tests/harness/record
EXPERIMENTS := $(basename $(notdir $(wildcard experiments/*.toml)))
REPORTED := $(filter $(or $(ONLY),%),$(filter-out quickstart,$(EXPERIMENTS)))
READY := .venv/.ready
DOCS_READY := .venv-docs/.ready
RUN := .venv/bin/audiomtl
CORE := $(if $(filter core,$(TIER)),--core)
OPTIONS := $(if $(SLOTS),--slots $(SLOTS))
UV ?= uv
RESOLVE = $(UV) pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-emit-index-url --no-header
IN_LOCK = --extra corpora --extra dev --extra postgres --extra slurm
.DEFAULT_GOAL := help
.PHONY: help quickstart test long faults mutants check data best verify ablations reproduce report ui bench services lock docs clean

help: ## list the targets, the experiments and the studies
	@awk -F':.*## ' '/^[a-zA-Z%-]+:.*## /{printf "%-18s %s\n",$$1,$$2} FNR==1&&FILENAME~/toml/{f=FILENAME} /^description/{d=$$0;sub(/^[^"]*"/,"",d);sub(/".*/,"",d);printf "%-34s %s\n",f,d}' $(firstword $(MAKEFILE_LIST)) $(sort $(wildcard experiments/*.toml studies/*.toml))

$(READY): requirements.lock pyproject.toml
	@echo "building .venv from requirements.lock (once, about two minutes)"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

quickstart: $(READY) ## corpus, sweep, promotion, best run recorded and repeated, ablation, report: the whole workflow in minutes
	$(RUN) study quickstart $(OPTIONS)
	$(RUN) promote quickstart --to runs/quickstart
	$(RUN) best runs/quickstart/quickstart.toml --record $(OPTIONS)
	$(RUN) best runs/quickstart/quickstart.toml --again $(OPTIONS)
	$(RUN) ablations runs/quickstart/quickstart.toml $(OPTIONS)
	$(RUN) report quickstart --to runs/quickstart/report

test: $(READY) ## all tests, two side by side (one TensorFlow thread each)
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not services and not faults and not long"

long: $(READY) ## the tests that `make test` leaves out for their time: a model served over HTTP, label curves, more kinds of the same
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m long

faults: $(READY) ## the fault suite (three processes, which mostly wait): kills, lost servers, several workers; PostgreSQL and SLURM where installed (make services)
	.venv/bin/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(FAULTS)

mutants: $(READY) ## faults made by rule in losses, masks, scalers, splits, keys and intervals: which ones do the tests miss?
	.venv/bin/python -m tests.mutants

check: $(READY) ## ruff, mypy, every settings file
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(RUN) check

data: $(READY) ## generate the corpora, find the published data sets, describe their clips and splits
	$(RUN) data

study-%: $(READY) ## run the study studies/%.toml or resume it (SLOTS=n: parallel trainings)
	$(RUN) study $* $(OPTIONS)

promote-%: $(READY) ## write the best trial of a study into its experiment file
	$(RUN) promote $*

best-%: $(READY) ## train experiments/%.toml on all its seeds and check that its scores are reproduced (EXACT=1: bit for bit)
	$(RUN) best $* $(OPTIONS) $(if $(EXACT),--exact)

verify: $(READY) ## first ten training steps of every experiment compared with the recorded ones (seconds each)
	$(RUN) verify --quick --slots 2

ablations-%: $(READY) ## train the ablations of experiments/%.toml, compare them with its best runs (TIER=core: tasks alone, joins)
	$(RUN) ablations $* $(OPTIONS) $(CORE)

best: $(addprefix best-,$(REPORTED)) ## best-NAME for every experiment but the quickstart

ablations: $(addprefix ablations-,$(REPORTED)) ## ablations-NAME for every experiment but the quickstart

reproduce: $(READY) ## best runs, ablations and report of every experiment; prints the estimated time first (TIER=core, ONLY="multitask_% fusion_%")
	@$(RUN) price $(REPORTED) $(CORE)
	@status=0; for part in best ablations report; do $(MAKE) --no-print-directory --keep-going $$part || status=1; done; exit $$status

report: $(READY) ## write tables and figures of all recorded runs into runs/report, the results into README.md and docs/results.md
	$(RUN) report --readme

ui: $(READY) ## the MLflow UI on 127.0.0.1
	$(RUN) ui

bench: $(READY) ## side-by-side measurements (benchmarks/)
	@for file in benchmarks/*.py; do echo "== $$file"; .venv/bin/python $$file || exit 1; done

services: ## install PostgreSQL and SLURM for the tests that need them (Debian packages; as root)
	@[ "$$(id -u)" = 0 ] || { echo "make services installs Debian packages: run it as root (sudo make services)"; exit 1; }
	apt-get install --yes --no-install-recommends postgresql slurm-wlm munge

lock: ## resolve all lock files anew for Python 3.11 to 3.13 (needs uv; UV=path); compatible versions are kept
	$(RESOLVE) pyproject.toml --extra cpu $(IN_LOCK) --output-file requirements.lock >/dev/null
	$(RESOLVE) pyproject.toml --extra gpu $(IN_LOCK) --output-file requirements-gpu.lock >/dev/null
	@set -o pipefail; for extra in dashboard docs; do \
	  $(PYTHON) -c "import sys, tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'][sys.argv[1]], sep='\n')" $$extra \
	  | $(RESOLVE) - --constraints requirements.lock --output-file requirements-$$extra.lock >/dev/null || exit 1; \
	done

$(DOCS_READY): requirements-docs.lock
	@echo "building .venv-docs from requirements-docs.lock (once)"
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-docs.lock
	@touch $@

docs: $(DOCS_READY) ## build the documentation into docs/_build/html, in a separate environment (.venv-docs)
	.venv-docs/bin/sphinx-build -W --keep-going -b html docs docs/_build/html

clean: ## remove runs/ and cache/ (all recorded runs!), keep .venv and data
	rm -rf runs cache
