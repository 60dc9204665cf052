# make demo: train on the bundled digits, pack, and test in every mode.
# make test: run the suite with a few cases of each test.  make test-all: with all of them, as CI does.
# make docs: build the site into docs/_build/html; warnings are errors.
# make release: build the wheel and the sdist into dist/, check them, and test a model with the installed wheel.
# make test-newest: run it with the newest versions that pyproject.toml admits, in an environment of its own.
PYTHON ?= python3
# CONSTRAINTS=constraints.txt installs the exact versions that CI uses.
CONSTRAINTS ?=

venv := .venv
bin := $(venv)/bin
# Another PYTHON, or other CONSTRAINTS, than last time installs all again.
made_with := $(subst /,_,$(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])')_$(CONSTRAINTS))
installed := $(venv)/.installed_$(made_with)

.PHONY: demo test test-all test-newest lint docs docs-links release clean

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
	$(bin)/mypy

docs: $(installed)
	$(bin)/pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[docs]'
	rm -rf docs/_build
	JAX_PLATFORMS=cpu $(bin)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

# The links to other sites, which needs the network.
docs-links: docs
	$(bin)/python -m sphinx --builder linkcheck --quiet docs docs/_build/linkcheck

release: $(installed)
	$(bin)/pip install --quiet build twine
	rm -rf dist build .venv-release
	$(bin)/python -m build --outdir dist
	$(bin)/twine check --strict dist/*
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/pip install --quiet dist/*.whl
	cd dist && ../.venv-release/bin/xnornet test digits --model ../models/digits_mlp.npz --mode packed
	rm -rf .venv-release

# setuptools warns at length of what an editable installation is, hence PYTHONWARNINGS.
$(installed): pyproject.toml
	$(PYTHON) -m venv $(venv)
	rm -f $(venv)/.installed_*
	$(bin)/pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(bin)/pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[test]'
	touch $@

clean:
	rm -rf $(venv) .venv-newest .venv-release build dist docs/_build *.egg-info
