"""The part of SDP (RFC 8866) that publishing H.264 and other media needs."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunLine:
    """`a=ucam-run:ID FIRST`: the run of a publisher and its first access unit's number."""

    run: str
    first_number: int


@dataclass(frozen=True, slots=True)
class Media:
    """One m-line with its first payload type.

    `kind`: "video", "audio", … `encoding`: the rtpmap's name in upper case ("H264"); "" when there
    is none. `parameters`: fmtp, names in lower case. `ntp64_id`: id of the RFC 6051 extension.
    """

    kind: str
    payload_type: int
    encoding: str
    clock_rate: int
    control: str = ""
    parameters: dict[str, str] = field(default_factory=dict, repr=False)
    ntp64_id: int | None = None

    def parameter_sets(self) -> tuple[bytes, ...]:
        """NAL units of H.264's `sprop-parameter-sets`; raises `SDPError` for bad base64."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session: its media in order, and ucam's run line if there is one."""

    media: tuple[Media, ...]
    run: RunLine | None = None
    control: str = ""

    def build(self) -> bytes:
        """The SDP text."""
        raise NotImplementedError


def parse(text: bytes, *, max_media: int = 16, max_line: int = 16_384) -> SessionDescription:
    """Read an SDP; unknown lines are passed over. Raises `SDPError`."""
    raise NotImplementedError


def h264_session(
    parameter_sets: tuple[bytes, ...], run: RunLine, *, payload_type: int = 96, ntp64_id: int = 1
) -> SessionDescription:
    """What ucam's own sender announces: one H.264 track with capture times."""
    raise NotImplementedError
