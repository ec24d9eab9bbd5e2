"""Why storage can't be reached, in one plain sentence each."""

import os
import socket
import ssl

from ucam.capture.connection import SendError

NO_CLOCK = (
    "the clock of this camera isn't set yet (does it reach a time server? see timedatectl);"
    " pictures are kept here and get their right times then"
)
OTHER_CERTIFICATE = (
    "{} shows another certificate than the pinned one: either the storage made itself a new one,"
    " or this isn't the storage"
)
_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID


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
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=text):
            clock = "; is the clock of this camera right?" if code == _NOT_YET_VALID else ""
            return f"{where} shows a certificate that isn't accepted: {text}{clock}"
        case ssl.SSLError():
            # Not all of them have a reason.
            why = getattr(error, "reason", None) or "unknown"
            return f"{where} answers with no TLS that we understand ({why})"
        case socket.gaierror():
            return (
                f"the name in {where} isn't found ({error.strerror}): is it right, and does this"
                " network's name server work?"
            )
        case TimeoutError():
            return f"{where}: no answer in time"
        case ConnectionRefusedError():
            return f"{where}: nothing listens there; does the storage run?"
        case OSError(errno=int(number)):
            return f"{where}: {os.strerror(number)}"
    return str(error) or f"{where}: the connection was lost"
