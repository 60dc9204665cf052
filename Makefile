# make demo: train on the bundled digits, pack, and test in every mode.
# make test: run the suite with a few cases of each test.  make test-all: with all of them, as CI does.
# make test-newest: run it with the newest versions that pyproject.toml admits, in an environment of its own.
PYTHON ?= python3
# CONSTRAINTS=constraints.txt installs the exact versions that CI uses.
CONSTRAINTS ?=

venv := .venv
bin := $(venv)/bin
# Another PYTHON, or other CONSTRAINTS, than last time installs all again.
made_with := $(subst /,_,$(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])')_$(CONSTRAINTS))
installed := $(venv)/.installed_$(made_with)

.PHONY: demo test test-all test-newest lint clean

demo: $(installed)
	PYTHON=$(bin)/python bash train/train_digits.sh --out runs/digits_mlp.npz
	$(bin)/python test/digits_test.py --model runs/digits_mlp.npz --mode float
	$(bin)/python test/digits_test.py --model runs/digits_mlp.npz --mode fixed
	$(bin)/python -m xnornet pack --model runs/digits_mlp.npz --calibrate digits --out runs/digits_mlp.packed.npz
	$(bin)/python test/digits_test.py --model runs/digits_mlp.packed.npz --mode packed

# One more than there are cores, as tests wait for programs that they start.
workers := $(shell $(PYTHON) -c 'import os; print(1 + min(4, os.cpu_count()))')
pytest := $(bin)/python -m pytest --numprocesses $(workers) --dist worksteal

test: $(installed)
	$(pytest)

test-all: $(installed)
	$(pytest) --all

test-newest:
	rm -rf .venv-newest
	$(MAKE) test venv=.venv-newest CONSTRAINTS=

lint: $(installed)
	$(bin)/ruff check
	$(bin)/ruff format --check

# setuptools warns at length of what an editable installation is, hence PYTHONWARNINGS.
$(installed): pyproject.toml
	$(PYTHON) -m venv $(venv)
	rm -f $(venv)/.installed_*
	$(bin)/pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(bin)/pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[test]'
	touch $@

clean:
	rm -rf $(venv) .venv-newest build dist *.egg-info
