"""What the network answered, as a person is told: one plain sentence, without error numbers."""

import os
import socket
import ssl

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID


def explain(error: BaseException, where: str) -> str:
    """A sentence about a connection to `where` (an address without secrets) that failed."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=text):
            clock = "; is the clock of this device right?" if code == _NOT_YET_VALID else ""
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
            return f"{where}: nothing listens there; does it run?"
        case OSError(errno=int(number)):
            return f"{where}: {os.strerror(number)}"
    return str(error) or f"{where}: the connection was lost"
