"""Why storage can't be reached, in one plain sentence each."""

from ucam.capture.connection import SendError
from ucam.device import trouble

NO_CLOCK = (
    "the clock of this camera isn't set yet (does it reach a time server? see timedatectl);"
    " pictures are kept here and get their right times then"
)
OTHER_CERTIFICATE = (
    "{} shows another certificate than the pinned one: either the storage made itself a new one,"
    " or this isn't the storage"
)


def explain(error: BaseException, where: str) -> str:
    """A sentence about what happened to a connection to `where` (`rtsps://HOST:PORT`)."""
    match error:
        case SendError(status=401 | 403):
            return (
                f"it doesn't accept this camera's token ({error}); if it stays so, make a new one"
                " on the web machine: ucam token JID"
            )
        case SendError():
            return str(error)
    return trouble.explain(error, where)
