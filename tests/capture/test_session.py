from capture.samples import sound, unit
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.session import Session
from ucam.capture.spool import Spooled
from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, VideoTrack
from ucam.rtp import packet as rtp_packet
from ucam.rtsp import sdp

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)
RUN = Run(TRACK, AudioTrack.opus(1), "aaaa")


def test_what_is_announced_comes_back() -> None:
    session = Session(RUN, 7, "the camera was started")
    read = sdp.parse(session.description.build())
    assert read.run == sdp.RunLine("aaaa", 7)
    assert read.gap == "the camera was started"
    assert [media.encoding for media in read.media] == ["H264", "OPUS"]
    assert sdp.parse(Session(Run(TRACK), 0, "").description.build()).gap is None


def test_it_goes_on_with_the_next_picture_of_its_run_and_with_its_sound() -> None:
    session = Session(RUN, 5, "")
    session.take_channels((0, 2))
    assert session.goes_on_with(Spooled(RUN, unit(5)))
    assert not session.goes_on_with(Spooled(RUN, unit(6)))
    assert not session.goes_on_with(Spooled(Run(TRACK, None, "bbbb"), unit(5)))
    packets, channel = session.packets(unit(5))
    assert (len(packets), channel, session.number) == (2, 0, 6)  # its parameter sets first
    assert session.goes_on_with(Spooled(RUN, sound(5)))
    packets, channel = session.packets(sound(5))
    assert (channel, session.number) == (2, 6)
    (packet,) = packets
    # 50.1 ms of 90 kHz, on Opus' clock of 48 kHz.
    assert rtp_packet.parse(packet).timestamp == (5 * 9000 + 900) * 48 // 90


def test_what_is_malformed_is_left_out_and_counted() -> None:
    session = Session(RUN, 0, "")
    session.take_channels((0, 2))
    (*_, before), _ = session.packets(unit(0))
    broken = AccessUnit(b"\0\0\0\xff\x65", 9000, 100_000, False, 1)
    assert session.packets(broken) == ([], 0)
    (after,), _ = session.packets(unit(2))
    sequences = [rtp_packet.parse(each).sequence for each in (before, after)]
    assert (sequences[1] - sequences[0]) & 0xFFFF == 2
    assert session.number == 3
