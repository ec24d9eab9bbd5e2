import pytest

from ucam.capture.connection import SendError
from ucam.capture.trouble import explain


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SendError("it refuses ANNOUNCE: 401 the token has expired", 401), "ucam token JID"),
        (SendError("it doesn't answer"), "it doesn't answer"),
        (TimeoutError(), "rtsps://storage.local:8322: no answer in time"),
    ],
)
def test_each_trouble_is_one_plain_sentence(error: Exception, says: str) -> None:
    assert says in explain(error, "rtsps://storage.local:8322")
