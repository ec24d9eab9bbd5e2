"""Which live stream a player gets, and which not."""

from typing import Any

import pytest

from storage.helpers import ISSUER, PLACE, Tokens
from ucam.rtsp.messages import Request, Response
from ucam.rtsp.parser import Parser
from ucam.rtsp.server import DescribeRequested, PlayRequested, ServerConnection
from ucam.storage import live
from ucam.storage.access import Denied, access_by_file
from ucam.storage.layout import Place
from ucam.storage.live import Channels, Live, Reader
from ucam.storage.playing import Playing

VIDEO = Channels(0, 1, 90_000, "video", 96, "H264")
OTHER = Place("studio", "cam002@studio.loc")
PERSON = "owner@shop.loc"


class Recorded:
    """What the storage has recorded before."""

    async def durable(self, place: Place) -> object | None:
        return "something" if place == OTHER else None


class Player:
    """A player's connection to a storage to which `PLACE` publishes now."""

    def __init__(self, tokens: Tokens, options: str = "") -> None:
        self.live = Live()
        self.source = self.live.publish(PLACE, b"v=0\r\n", (VIDEO,))
        self.tokens = tokens
        self.rtsp = ServerConnection(bytes(16))
        self.sent: list[bytes] = []
        self.url = f"rtsps://storage/{PLACE.jid}{options}"
        access = access_by_file(tokens.keys_file, ISSUER, lambda: ("studio",))
        recorder: Any = Recorded()
        self.playing = Playing(self.rtsp, self.live, access, recorder)
        self.reader = Reader(
            {0: (0, 1)}, lambda data: self.sent.append(bytes(data)), lambda: 0, lambda _reason: None
        )

    async def describe(self, sub: str = PERSON, role: str = "player") -> None:
        bearer = ("Authorization", f"Bearer {self.tokens.issue(sub, role)}")
        request = Request("DESCRIBE", self.url, (("CSeq", "1"), bearer))
        (event,) = self.rtsp.receive(request.encode())
        assert isinstance(event, DescribeRequested)
        await self.playing.describe(event)
        self.rtsp.data_to_send()

    def play(self) -> Response:
        transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
        for method, uri in [("SETUP", f"{self.url}/trackID=0"), ("PLAY", self.url)]:
            request = Request(method, uri, (("CSeq", "2"), transport))
            for event in self.rtsp.receive(request.encode()):
                assert isinstance(event, PlayRequested)
                self.rtsp.data_to_send()
                self.playing.play(event, self.reader)
        (answer,) = Parser().feed(self.rtsp.data_to_send())
        assert isinstance(answer, Response)
        self.playing.begin()
        return answer


@pytest.mark.parametrize(("sub", "role"), [(PERSON, "user"), (PLACE.jid, "player")])
async def test_a_player_joins_and_leaves(tokens: Tokens, sub: str, role: str) -> None:
    player = Player(tokens)
    await player.describe(sub, role)
    assert player.playing.place == PLACE
    assert player.play().status == 200
    feed = player.live.find(PLACE)
    assert feed is not None
    assert feed.readers == {player.reader}
    player.playing.pause()
    assert not feed.readers
    player.playing.pause()


@pytest.mark.parametrize("sub", ["cam002@studio.loc"])
async def test_a_token_made_for_a_device_shows_that_one_alone(tokens: Tokens, sub: str) -> None:
    with pytest.raises(Denied, match="alone") as denied:
        await Player(tokens).describe(sub)
    assert denied.value.status == 404


async def test_a_device_that_does_not_send_is_not_there(tokens: Tokens) -> None:
    player = Player(tokens)
    player.source.end(0.0)
    with pytest.raises(Denied, match="isn't sending") as denied:
        await player.describe()
    assert denied.value.status == 404


async def test_one_that_stops_before_play_is_not_there_either(tokens: Tokens) -> None:
    player = Player(tokens)
    await player.describe()
    player.source.end(0.0)
    with pytest.raises(Denied) as denied:
        player.play()
    assert denied.value.status == 404


async def test_there_are_only_so_many_places(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_READERS", 0)
    player = Player(tokens)
    await player.describe()
    with pytest.raises(Denied) as denied:
        player.play()
    assert denied.value.status == 453
