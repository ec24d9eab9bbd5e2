"""What a camera has captured and storage has not confirmed: in memory, and on disk while storage
is away.

    captured ──▶ memory ──▶ sent ──▶ confirmed durable ──▶ dropped
                   │ storage is away, or behind
                   └──▶ disk ──▶ sent …

`spool.Spool` puts them together; `units`, `memory` and `record` do no I/O. Errors: `SegmentError`
(a file that is no segment); disks that fail are told by `Spool.fault`, never raised.
"""

from ucam.capture.spool.spool import Spool
from ucam.capture.spool.units import Gap, Spooled

__all__ = ["Gap", "Spool", "Spooled"]
