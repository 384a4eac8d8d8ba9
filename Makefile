# The commands of this project. Each one sets up what it needs and may be run again at will.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEED ?= 1440
SEED ?= 1
RUNS ?= 100
KILLS ?= 200
MYPY_ROOMS := wire/balise_wire gateway/balise_gateway boards/balise_boards sim/balise_sim tools/balise_tools

.PHONY: help demo demo-badges test check bench soak deb clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/.ready-sim  ## a simulated day of a street, end to end, in about a minute (SPEED=1: real time)
	@$(BIN)/balise sim demo --speed $(SPEED) --seed $(SEED)

demo-badges: $(VENV)/.ready-badges  ## two places, five cards, a cut link and a settlement, in about a minute
	@$(BIN)/balise sim badges

test: $(VENV)/.ready-dev $(VENV)/.ready-programs  ## every test
	@$(BIN)/pytest -n auto --dist worksteal --ignore=tests/journey
	@$(BIN)/pytest -n auto --dist worksteal tests/journey

check: $(VENV)/.ready-dev  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(MYPY_ROOMS)
	@$(BIN)/python firmware/lay_out_stubs.py .mypy_cache/micropython
	@$(BIN)/mypy --config-file firmware/mypy.ini

bench: $(VENV)/.ready-dev $(VENV)/.ready-programs $(VENV)/.ready-peers  ## measures, and writes BENCHMARKS.md (PART=verdict: that part alone)
	@PYTHONPATH=tests $(BIN)/python tests/bench.py $(PART)

soak: $(VENV)/.ready-dev $(VENV)/.ready-programs  ## RUNS streets with random faults, and a gateway under load killed KILLS times
	@$(BIN)/balise sim soak --runs $(RUNS)
	@KILLS=$(KILLS) $(BIN)/pytest -n 0 -q -s tests/journey/test_kills.py

deb: $(VENV)/.ready-dev  ## builds the Debian package into dist/
	@$(BIN)/python packaging/build_deb.py dist

clean:  ## removes what the commands above made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready-sim: pyproject.toml set-up
	@sh ./set-up venv sim

$(VENV)/.ready-badges: pyproject.toml set-up
	@[ -e $(VENV)/.ready-dev ] || sh ./set-up venv sim,badge
	@touch $@

$(VENV)/.ready-dev: pyproject.toml set-up
	@sh ./set-up venv dev

$(VENV)/.ready-peers: set-up
	@sh ./set-up peers

$(VENV)/.ready-programs: set-up
	@sh ./set-up programs
