"""The one exception tree of `ucam.media`."""


class MediaError(ValueError):
    """Coded media, or a file of it, that is not what it should be; the message says where."""


class BitstreamError(MediaError):
    """Coded video that is not what its standard says."""


class ContainerError(MediaError):
    """An MP4 box or file that cannot be read, or must not be written."""


class DiscontinuityError(MediaError):
    """Presentation times that jump back further than any reordering explains."""
