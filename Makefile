# make demo: train on the bundled digits, pack, and test in every mode.  make test: run the suite.
PYTHON ?= python3
# CONSTRAINTS=constraints.txt installs the exact versions that CI uses.
CONSTRAINTS ?=

venv := .venv
bin := $(venv)/bin
installed := $(venv)/.installed

.PHONY: demo test lint clean

demo: $(installed)
	PYTHON=$(bin)/python bash train/train_digits.sh --out runs/digits_mlp.npz
	$(bin)/python test/digits_test.py --model runs/digits_mlp.npz --mode float
	$(bin)/python test/digits_test.py --model runs/digits_mlp.npz --mode fixed
	$(bin)/python -m xnornet pack --model runs/digits_mlp.npz --calibrate digits --out runs/digits_mlp.packed.npz
	$(bin)/python test/digits_test.py --model runs/digits_mlp.packed.npz --mode packed

test: $(installed)
	$(bin)/python -m pytest --numprocesses auto --maxprocesses 4

lint: $(installed)
	$(bin)/ruff check
	$(bin)/ruff format --check

# setuptools warns at length of what an editable installation is, hence PYTHONWARNINGS.
$(installed): setup.py requirements.txt
	$(PYTHON) -m venv $(venv)
	$(bin)/pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(bin)/pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --editable '.[test]'
	touch $@

clean:
	rm -rf $(venv) build dist *.egg-info
