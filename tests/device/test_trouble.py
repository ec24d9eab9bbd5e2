import errno
import socket
import ssl

import pytest

from ucam.device.trouble import explain

WHERE = "https://cams.example.com"


def not_yet_valid() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 9, "certificate is not yet valid"
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (socket.gaierror(-2, "Name or service not known"), "isn't found"),
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "does it run?"),
        (OSError(errno.ENETUNREACH, "x"), "Network is unreachable"),
        (not_yet_valid(), "is the clock of this device right?"),
        (ssl.SSLError(1, "x"), "no TLS that we understand"),
        (ConnectionError(), "the connection was lost"),
    ],
)
def test_each_trouble_is_one_plain_sentence(error: Exception, says: str) -> None:
    text = explain(error, WHERE)
    assert says in text
    assert WHERE in text
    assert "\n" not in text
    assert "Errno" not in text
