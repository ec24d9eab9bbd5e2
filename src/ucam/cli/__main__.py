"""`python -m ucam.cli` is `ucam`."""

import sys

from ucam.cli import main

sys.exit(main())
