import msgspec
import pytest

from ucam.capture.callmessages import (
    MAX_BYTES,
    Answer,
    Candidate,
    Connected,
    Ended,
    FromCall,
    Heard,
    KeyframeWanted,
    Offer,
    Setup,
    Started,
    Stop,
    ToCall,
    decode_from_call,
    decode_setup,
    decode_to_call,
    encode,
)
from ucam.capture.callsdp import IceSetup


def test_a_setup_comes_back_as_it_was() -> None:
    ice = IceSetup("stun://a:3478", ("turn://u:p@b:3478",), relay_only=True)
    for setup in (
        Setup(codec="h265"),
        Setup(codec="h264", profile_level_id="42c01f", sound=True, ice=ice),
    ):
        assert decode_setup(encode(setup)) == setup


TO: list[ToCall] = [Answer("v=0\r\n"), Candidate("candidate:1", 0), Candidate(""), Stop()]
FROM: list[FromCall] = [
    Started(7),
    Offer("v=0\r\n"),
    Candidate("candidate:1", 0),
    Connected(),
    KeyframeWanted(),
    Heard(),
    Ended("why"),
]


def test_words_come_back_as_they_were() -> None:
    assert [decode_to_call(encode(each)) for each in TO] == TO
    assert [decode_from_call(encode(each)) for each in FROM] == FROM


def test_each_side_takes_its_own_words_alone() -> None:
    """A call may be in its viewer's hands."""
    for each in (Answer("v=0"), Stop()):
        with pytest.raises(msgspec.DecodeError):
            decode_from_call(encode(each))
    with pytest.raises(msgspec.DecodeError):
        decode_to_call(encode(Started(1)))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b'{"type":"started"}', b'{"type":"offer","sdp":1}', b"\xff"],
)
def test_nonsense_is_an_error_that_is_caught(data: bytes) -> None:
    with pytest.raises(ValueError):  # what `remotecall` catches
        decode_from_call(data)


def test_the_longest_answer_of_the_room_fits() -> None:
    assert len(encode(Answer('"' * 65_536))) < MAX_BYTES
