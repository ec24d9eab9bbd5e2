"""A player's side of an RTSPS connection: may it see the stream, and which is it?"""

from ucam.base.tokens import Claims
from ucam.rtsp.events import DescribeRequested, PlayRequested
from ucam.rtsp.server import ServerConnection
from ucam.storage.access import Access, Denied
from ucam.storage.layout import Place
from ucam.storage.live import Feed, Live, Reader
from ucam.storage.recorder import Recorder

NOT_FOUND = "Not found"


class Playing:
    """What a connection does for a player."""

    def __init__(
        self, rtsp: ServerConnection, live: Live, access: Access, recorder: Recorder
    ) -> None:
        self._rtsp = rtsp
        self._live = live
        self._access = access
        self._recorder = recorder
        self._feed: Feed | None = None
        self._reader: Reader | None = None
        self._group_first = True
        self.place: Place | None = None

    async def describe(self, event: DescribeRequested) -> Claims:
        """Answer a DESCRIBE; raises `Denied`. What may not be seen looks like what isn't there."""
        places, claims = await self._access.player(event.path, event.credentials.token)
        if claims.role == "player" and await self._is_device(claims, places):
            raise Denied(404, f"this player's token shows {claims.sub} alone")
        feed = next((found for place in places if (found := self._live.find(place))), None)
        if feed is None:
            raise Denied(404, "it isn't sending now")
        self._feed, self.place = feed, feed.place
        self._rtsp.describe(event, feed.description, len(feed.tracks))
        return claims

    async def _is_device(self, claims: Claims, places: tuple[Place, ...]) -> bool:
        """Whether a player's token was made for another device than it asks for."""
        if claims.sub == places[0].jid:
            return False
        for place in places:
            its_own = Place(place.location, claims.sub)
            if self._live.find(its_own) or await self._recorder.durable(its_own) is not None:
                return True
        return False

    def play(self, event: PlayRequested, reader: Reader) -> None:
        """Answer a PLAY; raises `Denied`. Call `begin` when the answer has been sent."""
        feed = self._feed
        if (
            feed is None
            or feed.source is None
            or any(n >= len(feed.tracks) for n in event.channels)
        ):
            raise Denied(404, "it has stopped sending")
        if self._live.full:
            raise Denied(453, "there are too many players")
        self._group_first = event.options.get("gop") != "0"
        self._rtsp.play(event, feed.starts(event.channels) if self._group_first else ())
        self._reader = reader

    def begin(self) -> None:
        """Media from now on."""
        if self._feed is not None and self._reader is not None:
            self._feed.join(self._reader, group_first=self._group_first)

    def pause(self) -> None:
        """No more media."""
        if self._feed is not None and self._reader is not None:
            self._feed.leave(self._reader)
        self._reader = None
