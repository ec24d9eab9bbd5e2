"""The publisher's side: ucam's own sender.

publisher = Publisher(url, token)
publisher.start()
… for event in publisher.receive(data):
    DurableUntil (the first):  publisher.announce(sdp.h264_session(sets, RunLine(run, first)))
    Ready:                     send publisher.frame(packets) for every access unit,
                               and every 2 s publisher.ask_durable()
    DurableUntil (later):      drop from the spool what it confirms
    Failed:                    close, come back later
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ucam.rtsp.sdp import SessionDescription


@dataclass(frozen=True, slots=True)
class Durable:
    """What storage confirms: the last durable access unit of this device, and its capture time."""

    run: str
    number: int
    utc_us: int


@dataclass(frozen=True, slots=True)
class DurableUntil:
    """The answer to a question: None when storage has nothing of this device."""

    position: Durable | None


@dataclass(frozen=True, slots=True)
class Ready:
    """RECORD was accepted: media may be sent. `keep_alive_s`: ask at least this often."""

    keep_alive_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Storage refused, or answered what cannot be understood. `status` 0: no RTSP status. `step`:
    which request it was about.
    """

    status: int
    text: str
    step: str


Event = DurableUntil | Ready | Failed


class Publisher:
    """One connection to storage. `url`: rtsps://HOST:PORT/BARE-JID."""

    def __init__(self, url: str, token: str, *, user_agent: str = "ucam") -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin: OPTIONS, and the first question for what is durable."""
        raise NotImplementedError

    def announce(self, session: SessionDescription) -> None:
        """Announce and go on to RECORD; `Ready` or `Failed` follows."""
        raise NotImplementedError

    def ask_durable(self) -> bool:
        """Ask what is durable (this also keeps the session alive). False, and nothing is sent,
        while the last question is unanswered.
        """
        raise NotImplementedError

    def teardown(self) -> None:
        """Say that nothing more comes."""
        raise NotImplementedError

    def frame(self, packets: Iterable[bytes], channel: int | None = None) -> bytes:
        """RTP packets as interleaved data, to be written behind `data_to_send()`. `channel`: as
        storage said in its answer to SETUP, when it is None.
        """
        raise NotImplementedError

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """What these bytes bring. Never raises for what storage sends."""
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """The bytes to write now; empty when there are none."""
        raise NotImplementedError


def format_durable(position: Durable | None) -> str:
    """The value of `durable-until` as storage answers it."""
    raise NotImplementedError


def parse_durable(value: str) -> Durable | None:
    """The inverse; None for "none". Raises `MessageError`."""
    raise NotImplementedError
