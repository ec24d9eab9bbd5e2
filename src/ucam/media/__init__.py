"""Tracks, access units, H.264 bit streams, fragmented MP4: plain objects without I/O.

Errors: `MediaError` (a `ValueError`) and below it
- `BitstreamError`: coded video that is not what its standard says (NAL units, parameter sets),
- `ContainerError`: an MP4 file, or a box, that cannot be read or must not be written,
- `DiscontinuityError`: presentation times that jump back further than any reordering explains.
"""

from ucam.media.errors import BitstreamError, ContainerError, DiscontinuityError, MediaError

__all__ = ["BitstreamError", "ContainerError", "DiscontinuityError", "MediaError"]
