"""``python -m xnornet``."""

import sys

from xnornet.cli import main

sys.exit(main())
