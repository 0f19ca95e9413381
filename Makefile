# Two commands: `make course` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV   ?= .venv
PIP_ARGS ?=
JUPYTER_ARGS ?=
WORKERS ?= 2
FLOOR_BUT ?=
KERNELS ?=
TRAIN ?=
DATA ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
SITE_READY := $(VENV)/.site-ready
BROWSER_READY := $(VENV)/.browser-ready
NODE_READY := tools/node_modules/.ready
FLOOR := build/floor
# JupyterLab refuses to run as root unless it is told; containers often have no other user.
ROOT_ARG := $(if $(filter 0,$(shell id -u)),--allow-root)
export JUPYTER_PLATFORM_DIRS := 1

.DEFAULT_GOAL := help
.PHONY: help setup course test test-package test-notebooks test-browser test-floor test-kernels lint
.PHONY: format refresh site slides handout export bench gpu clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(READY) ## Make the environment .venv, once

course: $(READY) ## Set up, then open the course in JupyterLab
	$(BIN)/jupyter lab $(ROOT_ARG) --LabApp.default_url=/lab/tree/notebooks/00_latent_factors.ipynb \
	    --ServerApp.answer_yes=True \
	    $(JUPYTER_ARGS)

# Two workers with two threads each would fight for two cores.
test-package test-notebooks test-browser test-floor bench: export OMP_NUM_THREADS := 1
test-package test-notebooks test-browser test-floor bench: export OPENBLAS_NUM_THREADS := 1
test-package test-notebooks test-browser test-floor bench: export MKL_NUM_THREADS := 1

test: lint test-package test-notebooks ## Set up, then test the package and every notebook

test-package: $(READY) ## Test the package lfm
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -q

test-notebooks: $(READY) ## Run every notebook and compare its outputs with the stored ones
	$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout 300 \
	    --nbval-sanitize-with tests/sanitize.cfg \
	    -n $(WORKERS) --dist loadfile -q notebooks

test-browser: $(BROWSER_READY) site slides handout ## Look at site and slides in a browser
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -q tests/browser

site: $(SITE_READY) $(NODE_READY) ## Make the course a site of pages: build/site
	$(BIN)/python -m tools.site

slides: $(READY) $(NODE_READY) ## Make slides of every chapter: build/slides
	$(BIN)/python -m tools.slides

handout: $(READY) ## Make handouts for students and for teachers: build/handout
	$(BIN)/python -m tools.handout

export: $(READY) ## Quizzes and exam questions for learning systems: build/export
	$(BIN)/python -m tools.export

test-kernels: $(READY) ## Run the notebooks as other processors would (more than an hour)
	$(BIN)/python -m tools.kernels $(if $(TRAIN),--training) $(if $(KERNELS),--only $(KERNELS))

test-floor: $(FLOOR)/.ready ## Test the package with the oldest versions that are allowed
	$(FLOOR)/bin/pytest -n $(WORKERS) --dist loadfile -q

lint: $(READY) ## Check the style of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Mend the style of the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

refresh: export LFM_PROGRESS := 0
refresh: $(READY) ## Re-execute the notebooks in place
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN \
	    --ExecutePreprocessor.record_timing=False notebooks/*.ipynb notebooks/solutions/*.ipynb
	$(BIN)/python -m tools.still
	$(BIN)/python -m tools.pictures

bench: $(BENCH_READY) ## Time the package against its peers, one thread (20 minutes)
	$(BIN)/python benchmarks/report.py $(ONLY)

gpu: export LFM_GPU := 1
gpu: $(READY) ## Try and time training on a GPU (10 minutes); DATA=FOLDER of binarised MNIST
	$(BIN)/python benchmarks/gpu.py $(if $(DATA),--data $(DATA))

clean: ## Remove the environment and every cache
	rm -rf $(VENV) build tools/node_modules *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# No news prompt, which asks the network; and names of files in their whole length.
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings/overrides.json

$(READY): pyproject.toml constraints.txt tools/lab_settings.json
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	    f"Python {v[0]}.{v[1]} is too old: call make PYTHON=python3.11 (or newer)")'
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -e '.[course,test]'
	mkdir -p $(dir $(LAB_SETTINGS))
	cp tools/lab_settings.json $(LAB_SETTINGS)
	touch $@

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -e '.[bench]'
	touch $@

$(SITE_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -e '.[site]'
	touch $@

$(BROWSER_READY): $(READY)
	$(call needs,chromium,chromium fonts-dejavu-core)
	$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -e '.[browser]'
	touch $@

# Formulas (mathjax) and slides (reveal.js) in the browser; nothing of them is run while building.
$(NODE_READY): tools/package.json tools/package-lock.json
	$(call needs,npm,nodejs npm)
	npm ci --prefix tools --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# needs,command,packages: install Debian's packages where a command is missing, or say so.
define needs
	@command -v $(1) > /dev/null || { test $$(id -u) = 0 && command -v apt-get > /dev/null \
	    && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) > /dev/null; } \
	    || { echo "$(1) is missing. Install it (Debian and Ubuntu: apt-get install $(2))." >&2; exit 1; }
endef

# FLOOR_BUT=torch takes that one from constraints.txt, where its oldest version cannot be had.
$(FLOOR)/.ready: pyproject.toml constraints.txt tools/floor.py
	$(FLOOR)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(FLOOR)
	$(FLOOR)/bin/python tools/floor.py $(FLOOR_BUT) > $(FLOOR)/constraints.txt
	$(FLOOR)/bin/python -m pip install --quiet -c $(FLOOR)/constraints.txt $(PIP_ARGS) \
	    -e '.[course,test]'
	touch $@
