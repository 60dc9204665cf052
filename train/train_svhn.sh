#!/usr/bin/env bash
# Train a network on SVHN. Options are those of svhn_train.py; see --help.
exec bash "$(dirname "${BASH_SOURCE[0]}")/train.sh" svhn_train.py "$@"
