"""A camera in a few lines: it sends pictures as fast as storage takes them, and resumes behind
what storage confirms. No spool: it makes each picture anew from its number.
"""

import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

from media.clips import clip
from storage.helpers import FRAME_90K, START_US
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.rtp.h264_packetizer import H264Packetizer
from ucam.rtsp.client import Durable, DurableUntil, Event, Failed, Publisher, Ready
from ucam.rtsp.sdp import RunLine, h264_session

GROUP = 25
Answer = TypeVar("Answer", DurableUntil, Ready)
RUN = "run1"


class Refused(Exception):  # noqa: N818 - an answer
    """Storage said no, or hung up."""


def connect(url: str) -> ssl.SSLSocket:
    """A TLS connection to storage."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((parts.hostname, parts.port), timeout=60)
    return context.wrap_socket(plain)


class Camera:
    """`url` without a token."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        run: str = RUN,
        start_us: int = START_US,
        size: str = "320x240",
    ) -> None:
        """`size`: of its pictures, which are hard to compress beyond the usual."""
        self._url, self._token, self._run = url, token, run
        self._start_us = start_us
        options = "slices=4" if size == "320x240" else "slices=4:qp=12"
        self._clip = clip(b_frames=0, size=size, options=options)
        self.sent = self._most = 0  # the next picture's number
        self.durable = -1
        self.socket: ssl.SSLSocket | None = None

    @property
    def pictures(self) -> list[bytes]:
        """What it sends, again and again."""
        return [unit.data for unit in self._clip.units[:GROUP]]

    def connect(self) -> None:
        """To the point where pictures may be sent: behind what is durable."""
        self.socket = connect(self._url)
        self._publisher = Publisher(self._url, self._token)
        self._publisher.start()
        position = self._wait(DurableUntil).position
        if isinstance(position, Durable) and position.run == self._run:
            assert position.number >= self.durable, "storage has forgotten what it confirmed"
            self.durable = position.number
        # A picture of another group is decoded with this group's keyframe, which storage has.
        self.sent = self.durable + 1
        self._packetizer = H264Packetizer(
            96, 7, max_packet=1400, ntp64_id=1, parameter_sets=self._clip.parameter_sets
        )
        self._publisher.announce(
            h264_session(self._clip.parameter_sets, RunLine(self._run, self.sent))
        )
        self._wait(Ready)

    def _wait(self, kind: type[Answer]) -> Answer:
        while True:
            for event in self._exchange():
                if isinstance(event, kind):
                    return event
                if isinstance(event, Failed):
                    raise Refused(f"{event.status} {event.text} at {event.step}")

    def _exchange(self) -> list[Event]:
        """Send what is to be said, and wait for something."""
        assert self.socket is not None
        if data := self._publisher.data_to_send():
            self._send(data)
        received = self.socket.recv(65_536)
        if not received:
            raise Refused("storage has hung up")
        return self._publisher.receive(received)

    def _send(self, data: bytes) -> None:
        assert self.socket is not None
        self.socket.sendall(data)

    def next_picture(self) -> bytes:
        """As interleaved packets; its number is counted."""
        source = self._clip.units[self.sent % GROUP]
        pts = self.sent * FRAME_90K
        utc_us = self._start_us + microseconds(pts)
        unit = AccessUnit(source.data, pts, utc_us, self.sent % GROUP == 0, self.sent)
        self.sent += 1
        self._most = max(self._most, self.sent)
        return self._publisher.frame(self._packetizer.packetize(unit, pts), 0)

    def send(self, pictures: int) -> int:
        """So many more; returns their bytes. Raises `OSError` when the connection has gone."""
        assert self.socket is not None
        sent = 0
        for _ in range(pictures):
            data = self.next_picture()
            self.socket.sendall(data)
            sent += len(data)
        return sent

    def ask(self) -> int:
        """The last number that is durable; raises `OSError` or `Refused`."""
        self._publisher.ask_durable()
        position = self._wait(DurableUntil).position
        if position is not None and position.run == self._run:
            assert position.number >= self.durable, "what is durable goes back"
            # The last connection's end may still have been on its way when this one began.
            assert position.number < self._most, "more is durable than was sent"
            self.durable = position.number
        return self.durable

    def wait_for_durable(self, number: int) -> None:
        """Until so many are durable; a fragment is closed by the keyframe behind it."""
        while self.ask() < number:
            time.sleep(0.02)

    def reset(self) -> None:
        """The connection breaks at once, both ends are told so (RST), and what was on its way is
        lost.
        """
        assert self.socket is not None
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def teardown(self) -> None:
        """Say goodbye, and wait until storage hangs up."""
        assert self.socket is not None
        self._publisher.teardown()
        with suppress(Refused, OSError):
            while True:
                self._exchange()
        self.close()
