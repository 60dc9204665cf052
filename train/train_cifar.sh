#!/usr/bin/env bash
# Train a network on CIFAR-10. Options are those of cifar10_train.py; see --help.
exec bash "$(dirname "${BASH_SOURCE[0]}")/train.sh" cifar10_train.py "$@"
