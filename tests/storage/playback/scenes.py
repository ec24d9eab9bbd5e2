"""A storage's recordings as the playback tests want them."""

import json
from collections.abc import Iterator
from typing import Any

from media.clips import Clip
from storage.helpers import PLACE, START_US, Store, recorder
from ucam.base.times import format_utc
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.media.track import VideoTrack
from ucam.storage.playback.answers import Answer, Endless, Method, Request
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library
from ucam.storage.recorder import Recorder
from ucam.storage.stream import Arrived

HERE = frozenset({"studio"})
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


def content(answer: Answer) -> bytes:
    """The whole body, read in small pieces as a slow client would."""
    if isinstance(answer.body, bytes):
        return answer.body
    assert not isinstance(answer.body, Endless)
    data = bytearray()
    while len(data) < answer.body.length:
        data += answer.body.read(len(data), 50_000)
    answer.close()
    return bytes(data)


def document(answer: Answer) -> Any:
    return json.loads(content(answer))


def window(begin_us: int, end_us: int) -> str:
    """Times after START_US as a query."""
    return f"from={format_utc(START_US + begin_us)}&to={format_utc(START_US + end_us)}"


class Scene:
    """A handler on a store, three minutes after START_US."""

    def __init__(self, store: Store, found: Recorder | None = None) -> None:
        self.store = store
        self.recorder = found or recorder(store)
        self.held: tuple[int, int] | None = None
        self.now_us = START_US + 3 * MINUTE_US
        self.library = Library(
            store.root,
            store.index,
            self.recorder,
            on_device=lambda _place: self.held,
            now_us=lambda: self.now_us,
        )
        self.handler = Handler(self.library)

    async def get(
        self,
        path: str,
        wanted: str | None = None,
        locations: frozenset[str] = HERE,
        *,
        method: Method = "GET",
        role: str = "user",
        token: str = "",
        if_range: str | None = None,
        if_none_match: str | None = None,
    ) -> Answer:
        request = Request(
            *(path, locations, wanted, method),
            role=role,
            who="owner@shop.loc",
            token=token,
            if_range=if_range,
            if_none_match=if_none_match,
        )
        return await self.handler.handle(request)

    async def camera(self, resource: str, wanted: str | None = None) -> Answer:
        """A resource of the one camera."""
        return await self.get(f"/cameras/{PLACE.jid}/{resource}", wanted)


def of_clip(source: Clip, start_us: int, first: int = 0) -> Iterator[Arrived]:
    """A clip's pictures from `start_us` on, as a stream gives them."""
    track = VideoTrack.h264(source.parameter_sets)
    for number, unit in enumerate(source.units, first):
        utc_us = start_us + microseconds(unit.pts_90k)
        yield Arrived(
            AccessUnit(unit.data, unit.pts_90k, utc_us, unit.keyframe, number),
            track,
            stepped=False,
        )


async def film(found: Recorder, source: Clip, start_us: int, run: str) -> None:
    """Record a clip and close its chunks."""
    recording = await found.begin(PLACE, run)
    for each in of_clip(source, start_us):
        recording.push(each)
    await recording.finish("the camera was switched off")
