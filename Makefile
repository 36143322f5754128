# Two commands for a newcomer: `make quick` and `make test`. Both make their own .venv; both can be repeated.
#   make quick PIP_ARGS="--index-url URL"      choose another package index, such as one with CPU builds of torch
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quick test slow lint cards clean

quick: $(VENV)/installed
	$(BIN)/stabbench run quick

test: $(VENV)/installed-test
	HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest tests

slow: $(VENV)/installed-test
	HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest tests -m slow

lint: $(VENV)/installed-test
	$(BIN)/pip install -q $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

cards: $(VENV)/installed
	$(BIN)/python -m stabbench.planning.cards $(CARDS_ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info

# The stamp is made last: an interrupted installation is begun again.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install -q $(PIP_ARGS) -c constraints.txt -e '.[test]'
	touch $@
