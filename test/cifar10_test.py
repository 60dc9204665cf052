"""Test a trained network on CIFAR-10; ``--help`` lists the options."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from xnornet.cli import main  # noqa: E402

sys.exit(main(["test", *sys.argv[1:]], dataset="cifar10"))
