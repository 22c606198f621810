# make demo    stages a small PHP application, starts its droplet and asks it over HTTP
# make test    all checks, all tests
# Both install what is missing first: Debian packages (as root or through sudo), and Python packages in .venv.

# One test more at a time than there are cores: many of them wait for servers.
JOBS ?= $(shell cores=$$(nproc); echo $$((cores > 7 ? 8 : cores + 1)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench clean

help:
	@echo "make demo     stage examples/php, start the droplet, ask it over HTTP"
	@echo "make test     set up, check, and run all tests"
	@echo "make check    ruff, mypy, import-linter"
	@echo "make format   let ruff put the code into shape"
	@echo "make bench    compare stager with bare tools on the same trees"
	@echo "make clean    remove what the above have made"

setup:
	@scripts/install-host-tools test
	@scripts/make-venv test

demo:
	@scripts/install-host-tools demo
	@scripts/make-venv demo
	@scripts/demo

# The checks first: so pytest's summary is the last thing that is said.
test: check
	@.venv/bin/python -m pytest -n $(JOBS) --dist worksteal --durations 10 $(ARGS) </dev/null

check: setup
	@scripts/check

format: setup
	@.venv/bin/ruff check --quiet --fix-only .
	@.venv/bin/ruff format .

bench: setup
	@scripts/install-host-tools bench
	@PATH="$(CURDIR)/.venv/bin:$$PATH" bench/run $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
	find stager tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +
