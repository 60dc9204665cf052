#!/usr/bin/env bash
# Train a network on the digits. Options are those of digits_train.py; see --help.
exec bash "$(dirname "${BASH_SOURCE[0]}")/train.sh" digits_train.py "$@"
