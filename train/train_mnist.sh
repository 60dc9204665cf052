#!/usr/bin/env bash
# Train a network on MNIST. Options are those of mnist_train.py; see --help.
exec bash "$(dirname "${BASH_SOURCE[0]}")/train.sh" mnist_train.py "$@"
