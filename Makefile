# The two commands of a fresh machine: `make apply` and `make test`. Both make .venv by themselves.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.installed

.PHONY: apply test test-long check lock clean

apply: $(READY)
	$(VENV)/bin/invoke up
	$(VENV)/bin/invoke apply --yes

test: $(READY)
	$(VENV)/bin/invoke test

# What takes its time: nodes lost by the dozen, seal migrations, containers, servers of Debian's.
test-long: $(READY)
	$(VENV)/bin/invoke test --long

check: $(READY)
	$(VENV)/bin/invoke check

$(READY): requirements.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Strongroom needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=/path/to/python3.12 apply")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

# Written after a change of dependencies in pyproject.toml; needs `uv` (pip install uv).
lock:
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
