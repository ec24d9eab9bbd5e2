"""`ucam` without the syncs of its files: what durability costs is the difference.

The index's own syncs, one or two a minute and camera, are SQLite's and stay.
"""

import os
import sys

from ucam.cli import main


def _not_synced(_descriptor: int) -> None:
    pass


if __name__ == "__main__":
    os.fdatasync = os.fsync = _not_synced  # type: ignore[assignment]
    sys.exit(main())
