# make demo: try it.  make run: keep a server up.  make test: all but drills of minutes (make drills).  make bench: how fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= .demo/home
SOURCES := setup.cfg setup.py pyproject.toml conf/constraints.txt $(wildcard gateway/*/_*.[ch] gateway/*/*/_*.[ch])

.PHONY: demo run test drills bench bench-edifact chaos lint clean

$(VENV)/.ready: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c conf/constraints.txt -e .
	touch $@

$(VENV)/.ready-test: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c conf/constraints.txt -e '.[test]'
	touch $(VENV)/.ready $@

demo: $(VENV)/.ready
	$(BIN)/cvan demo

run: $(VENV)/.ready
	test -e $(HOME_DIR)/conf/gateway.toml || $(BIN)/cvan init $(HOME_DIR)
	$(BIN)/cvan --home $(HOME_DIR) run

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests begin hundreds of processes: each would compile again what nobody may keep.
test drills: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.ready-test lint
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=40 -m "not long"

drills: $(VENV)/.ready-test
	$(BIN)/python -m pytest -m long

bench: $(VENV)/.ready-test
	$(BIN)/python -m bench.journey

bench-edifact: $(VENV)/.ready-test
	$(BIN)/python -m bench.edifact
	$(BIN)/python -m bench.edifact_peers

chaos: $(VENV)/.ready-test
	$(BIN)/python -m tests.chaos

clean:
	rm -rf $(VENV) .demo build dist *.egg-info
