# Everything is a make target; `make` lists them, `make list` the experiments and studies.
# A new file in experiments/ or studies/ has its targets at once.
SHELL := /bin/bash
PYTHON ?= python3
FAULTS := tests/services tests/test_cluster_page.py tests/harness/train $(addprefix tests/harness/test_, leases.py \
  database.py reconcile.py executor.py slurm.py status.py) tests/harness/search/test_retries.py tests/harness/search/test_study.py \
  tests/harness/search/test_storage.py tests/harness/record
EXPERIMENTS := $(basename $(notdir $(wildcard experiments/*.toml)))
# with recorded scores: the other files, of whole published sets, wait for those who have the data
REPORTED := $(filter $(or $(ONLY),%),$(basename $(notdir $(shell grep -l '^\[expected' experiments/*.toml))))
READY := .venv/.ready
DOCS_READY := .venv-docs/.ready
RUN := .venv/bin/audiomtl
# what a training imports is compiled by importing it, in two processes, and the rest when it is needed; where Python may
# not write what it compiles, all is compiled at once. pip would compile all, in one process.
COMPILED := keras,tensorflow librosa.feature,matplotlib.pyplot,mlflow.store.tracking.sqlalchemy_store,optuna,pandas,pytest,sklearn.ensemble
CORE := $(if $(filter core,$(TIER)),--core)
OPTIONS := $(if $(SLOTS),--slots $(SLOTS))
UV ?= uv
RESOLVE = $(UV) pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-emit-index-url --no-header
IN_LOCK = --extra corpora --extra dev --extra postgres --extra slurm
.DEFAULT_GOAL := help
# `make` prints the texts after ##, and the names after ##@ before their first target
.PHONY: help list quickstart test long faults mutants check data best verify ablations reproduce report ui bench services lock screenshots docs clean

help:
	@awk -F':.*## ' '/^##@ /{group=substr($$0,5)} /^[a-z%-]+:.*## /{sub("%","NAME",$$1);printf "%-8s %-15s%s\n",group,$$1,$$2;group=""}' $(firstword $(MAKEFILE_LIST))

$(READY): requirements.lock pyproject.toml
	@echo "building .venv from requirements.lock (once, two to four minutes)"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --only-binary :all: -r requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	-@if [ "$$PYTHONDONTWRITEBYTECODE" ]; then .venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null; \
	else for modules in $(COMPILED); do .venv/bin/python -c "import $$modules" 2>/dev/null & done; wait; fi
	@touch $@

##@ start
quickstart: $(READY) ## the whole workflow in minutes
	AUDIOMTL_HINTS=off $(RUN) study quickstart $(OPTIONS)
	$(RUN) promote quickstart --to runs/quickstart
	$(RUN) best runs/quickstart/quickstart.toml --record $(OPTIONS)
	$(RUN) best runs/quickstart/quickstart.toml --again $(OPTIONS)
	$(RUN) ablations runs/quickstart/quickstart.toml $(OPTIONS)
	$(RUN) report runs/quickstart/quickstart.toml --to runs/quickstart/report
	@echo "make ui: shows every training in the browser"

list: ## list every NAME: the experiments and the studies
	@awk '/^description/{d=$$0;sub(/^[^"]*"/,"",d);sub(/".*/,"",d);n=split(d,word," ");line=FILENAME" ";for(i=1;i<=n;i++){if(length(line" "word[i])>80){print line;line="   "}line=line" "word[i]}print line}' $(sort $(wildcard experiments/*.toml studies/*.toml))

data: $(READY) ## generate or find the data, describe clips and splits
	$(RUN) data

check: $(READY) ## ruff, mypy, every settings file
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(RUN) check

##@ by name
study-%: $(READY) ## run a study or resume it (SLOTS=n: n trainings at once)
	$(RUN) study $* $(OPTIONS)

promote-%: $(READY) ## write the best trial of a study into its experiment
	$(RUN) promote $*

best-%: $(READY) ## train on every seed, compare with the recorded scores
	$(RUN) best $* $(OPTIONS) $(if $(EXACT),--exact)

ablations-%: $(READY) ## train its ablations, compare them with the best runs
	$(RUN) ablations $* $(OPTIONS) $(CORE)

##@ all
best: $(addprefix best-,$(REPORTED)) ## best-NAME for every recorded experiment

ablations: $(addprefix ablations-,$(REPORTED)) ## ablations-NAME for every recorded experiment

verify: $(READY) ## compare first training steps with the recorded ones
	$(RUN) verify --quick --slots 2

reproduce: $(READY) ## best, ablations and report; first prints the time needed
	@$(RUN) price $(REPORTED) $(CORE)
	@status=0; for part in best ablations report; do $(MAKE) --no-print-directory --keep-going $$part || status=1; done; exit $$status

report: $(READY) ## tables and figures in runs/report, results in README
	$(RUN) report --readme

ui: $(READY) ## show every training in the browser
	$(RUN) ui $(OPTIONS)

##@ project
test: $(READY) ## all tests but the longest, two side by side
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not services and not faults and not long"

long: $(READY) ## the longest tests: HTTP, label curves, more of the same
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m long

faults: $(READY) ## kills, lost servers, several workers, PostgreSQL, SLURM
	.venv/bin/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(FAULTS)

mutants: $(READY) ## which faults, made by rule, do the tests miss?
	.venv/bin/python -m tests.mutants

bench: $(READY) ## side-by-side measurements (benchmarks/)
	@for file in benchmarks/*.py; do echo "== $$file"; .venv/bin/python $$file || exit 1; done

$(DOCS_READY): requirements-docs.lock
	@echo "building .venv-docs from requirements-docs.lock (once)"
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-docs.lock
	@touch $@

screenshots: $(READY) ## pictures of the quickstart's runs for the README
	.venv/bin/python -m tests.screenshots

docs: $(DOCS_READY) ## build the documentation into docs/_build/html
	.venv-docs/bin/sphinx-build -W --keep-going -b html docs docs/_build/html

lock: ## resolve all lock files anew (needs uv; UV=path)
	$(RESOLVE) pyproject.toml --extra cpu $(IN_LOCK) --output-file requirements.lock >/dev/null
	$(RESOLVE) pyproject.toml --extra gpu $(IN_LOCK) --output-file requirements-gpu.lock >/dev/null
	@set -o pipefail; for extra in dashboard docs; do \
	  $(PYTHON) -c "import sys, tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'][sys.argv[1]], sep='\n')" $$extra \
	  | $(RESOLVE) - --constraints requirements.lock --output-file requirements-$$extra.lock >/dev/null || exit 1; \
	done

services: ## install PostgreSQL, SLURM, Chromium for tests (as root)
	@[ "$$(id -u)" = 0 ] || { echo "make services installs Debian packages: run it as root (sudo make services)"; exit 1; }
	apt-get install --yes --no-install-recommends postgresql slurm-wlm munge chromium fonts-dejavu-core

clean: ## remove runs/ and cache/ whole; gentler: audiomtl clean
	rm -rf runs cache
