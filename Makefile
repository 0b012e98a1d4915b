# `make demo` and `make test` do all set-up themselves (tools/setup); see README.md.

.PHONY: help setup demo test lint corpus systems bench soak clean

help:
	@echo 'make demo   run a KVM host and its guest under pocwatch, as it is and with a clean dropped'
	@echo 'make test   lint, type-check and run all tests'
	@echo 'make corpus run the bugs of real projects in corpus/, and their fixes'
	@echo 'make systems  run U-Boot, EDK2, Xen and Linux in all that they do to code and CPUs (minutes)'
	@echo 'make bench  measure what pocwatch costs'
	@echo 'make soak   start and stop guests for MINUTES=30, and look at findings and memory'
	@echo 'make lint   lint and type-check only'
	@echo 'make setup  install what is needed (Debian 12 and 13) and pocwatch in .venv'
	@echo 'make clean  remove what was built here; the cache folder of the demonstration stays'

setup:
	@tools/setup

demo: setup
	.venv/bin/pocwatch demo --out out/demo

test: lint
	.venv/bin/python -m pytest

lint: setup
	.venv/bin/ruff check
	.venv/bin/mypy

corpus: setup
	.venv/bin/python corpus/run.py

systems: setup
	.venv/bin/python systems/run.py --out out/systems

bench: setup
	.venv/bin/python bench/model_checkers/compare.py --lines 1,2,3,64 --seconds 20
	.venv/bin/python bench/run.py

MINUTES ?= 30
soak: setup
	.venv/bin/python bench/soak.py --minutes $(MINUTES)

clean:
	rm -rf .venv build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis
