import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.protocol.messages import (
    MAX_DEPTH,
    AnswerMedia,
    Chat,
    IceCandidate,
    OfferMedia,
    ProtocolError,
    RequestMedia,
    Status,
    Welcome,
    decode,
    encode,
)


def test_type_stands_first_and_keys_are_kebab_case() -> None:
    text = encode(Welcome(jid="a@b/c", roster=(), ice_servers=(), server_time="t", locations=()))
    assert text.startswith('{"type":"Welcome"')
    assert {"ice-servers", "server-time"} <= json.loads(text).keys()


def test_candidates_have_the_browsers_names() -> None:
    candidate = IceCandidate(candidate="candidate:1", sdp_mid="0", sdp_m_line_index=0)
    message = AnswerMedia(to="a@b/c", call="1", ice=candidate)
    assert json.loads(encode(message))["ice"] == {
        "candidate": "candidate:1",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    }
    assert decode(encode(message)) == message


def test_absent_fields_are_left_out() -> None:
    assert json.loads(encode(OfferMedia(sdp="v=0"))) == {"type": "OfferMedia", "sdp": "v=0"}
    assert json.loads(encode(RequestMedia(to="a@b", call="1", kind="live", from_="x"))) == {
        "type": "RequestMedia",
        "to": "a@b",
        "call": "1",
        "kind": "live",
        "from": "x",
    }


def test_a_status_keeps_fields_that_this_version_does_not_know() -> None:
    message = decode('{"type":"Status","recording":"stored","temperature":51.5,"from":"x"}')
    assert message == Status(fields={"recording": "stored", "temperature": 51.5}, from_="x")
    assert json.loads(encode(message))["temperature"] == 51.5


def test_a_status_cannot_smuggle_a_sender() -> None:
    message = Status(fields={"from": "evil", "type": "Chat", "recording": "x"}, from_="me")
    assert json.loads(encode(message)) == {"type": "Status", "from": "me", "recording": "x"}


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", None),
        ("null", None),
        ("[]", None),
        ('"x"', None),
        ("{}", None),
        ('{"type":5}', None),
        ('{"type":"Nope"}', "Nope"),
        ('{"type":"Chat"}', "Chat"),
        ('{"type":"Chat","text":5}', "Chat"),
        ('{"type":"RequestMedia","to":"a","call":"b","kind":"all"}', "RequestMedia"),
        ("[" * 10_000, None),
    ],
)
def test_what_is_no_message(text: str, about: str | None) -> None:
    with pytest.raises(ProtocolError) as error:
        decode(text)
    assert error.value.about == about


def nested(levels: int) -> str:
    """A Status whose field `x` makes it nest `levels` deep."""
    return '{"type":"Status","x":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def test_a_status_is_shallow_enough_for_every_welcome_that_holds_it() -> None:
    assert isinstance(decode(nested(MAX_DEPTH)), Status)
    for levels in (MAX_DEPTH + 1, 900, 3000):
        with pytest.raises(ProtocolError) as error:
            decode(nested(levels))
        assert error.value.about in ("Status", None)


def test_a_reason_does_not_echo_what_is_long() -> None:
    with pytest.raises(ProtocolError) as error:
        decode('{"type":"' + "A" * 60_000 + '"}')
    assert len(str(error.value)) < 400
    assert len(error.value.about or "") <= 128


def test_too_large() -> None:
    with pytest.raises(ProtocolError, match="allowed"):
        decode(encode(Chat(text="x" * 65_536)))


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_message_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(data)
