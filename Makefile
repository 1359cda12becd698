# SPDX-License-Identifier: LGPL-2.1-or-later
# Makefile: one command each. Every target sets up what it needs; `make help` lists them.
# Calls: tools/. Never: holds a recipe longer than a few lines.

VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
CORE := build/core.stamp
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo test quick lint types generate asan fuzz bench wheels check-wheels clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: $(CORE) ## the C core, into python/

demo: $(CORE) ## resume a guest and print its memory statistics
	$(PY) tools/demo

test: $(CORE) ## all tests; TESTS=tests/core for a part
	tools/test $(abspath $(PY)) $(TESTS)

quick: $(CORE) ## the tests that need neither a daemon nor patience
	$(PY) -m pytest --timeout=120 -q -m "not slow and not interop" $(or $(TESTS),tests)

lint: $(READY) ## style of Python and C, staleness of generated files
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	tools/lint-c
	$(PY) -m generator --check

types: $(READY) ## mypy --strict
	$(PY) -m mypy

generate: $(READY) ## tables, wrappers and constants from generator/api/
	$(PY) -m generator

asan: $(CORE) ## the C core's tests under the sanitizers
	tools/asan $(abspath $(PY))

fuzz: ## each fuzz target for FUZZ_SECONDS (60)
	tools/fuzz

bench: $(CORE) ## the benchmarks, with a plot
	$(PY) -m pip install --quiet --disable-pip-version-check matplotlib
	PYTHONPATH=python $(PY) -m benchmarks --plot build/benchmarks.png

wheels: $(READY) ## the abi3 and the pure wheel, into dist/
	tools/build-wheels $(abspath $(PY))

check-wheels: wheels ## install each wheel into an empty environment and test it there
	tools/check-wheels

clean: ## everything that make made, but for the environment
	rm -rf build dist python/*.so python/libvirtcore.egg-info

$(READY): tools/setup tools/requirements.txt
	tools/setup $(VENV)

$(CORE): $(READY) tools/build-core python/_libvirtmod_build.py VERSION $(shell find libvirtcore -name '*.[ch]')
	tools/build-core $(PY)
	@mkdir -p build && touch $@
