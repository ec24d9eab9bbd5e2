"""What real publishers sent, through every core, into a file that ffmpeg decodes."""

from itertools import pairwise
from pathlib import Path

import pytest

from media.clips import START_US, Clip, frame_md5, whole_file
from rtsp.peers import NAMES, accept_all, peer
from ucam.media.access_unit import AccessUnit
from ucam.rtp.formats import depacketizer
from ucam.rtp.rtcp import SenderReport, sender_reports
from ucam.rtp.timeline import Timeline
from ucam.rtp.unit import Unit
from ucam.rtsp.server import Media, Recording, ServerConnection

FRAME_US = 40_000


def received(name: str) -> list[SenderReport | Unit]:
    """The reports and access units of a captured publisher, in order."""
    sent = peer(name)
    recording, *rest = accept_all(ServerConnection(sent.entropy), sent.data)[1:]
    assert isinstance(recording, Recording)
    track = next(each for each in recording.tracks if each.media.kind == "video")
    media = track.media
    packets = depacketizer(media.encoding, media.parameter_sets(), media.ntp64_id)
    assert packets is not None
    found: list[SenderReport | Unit] = []
    for event in rest:
        for channel, packet in event.packets if isinstance(event, Media) else ():
            if channel == track.rtcp_channel:
                found += sender_reports(packet)
                continue
            if channel != track.rtp_channel:
                continue
            packets.push(packet)
            while (unit := packets.pull()) is not None:
                found.append(unit)
    return found


def placed(items: list[SenderReport | Unit]) -> Clip:
    """As storage takes them, one after the other as fast as they were captured."""
    told = [
        each.utc_us if isinstance(each, SenderReport) else each.capture_utc_us for each in items
    ]
    arrival_us = min((each for each in told if each is not None), default=START_US)
    timeline = Timeline()
    units: list[AccessUnit] = []
    sets: tuple[bytes, ...] = ()
    for item in items:
        if isinstance(item, SenderReport):
            timeline.report(item.rtp_timestamp, item.utc_us)
            continue
        sets = item.parameter_sets or sets
        moment = timeline.place(item.rtp_timestamp, item.capture_utc_us, arrival_us)
        assert not moment.stepped
        pts_90k, utc_us, _ = moment
        units.append(AccessUnit(item.data, pts_90k, utc_us, item.keyframe, len(units)))
        arrival_us += FRAME_US
    return Clip(sets, tuple(units), ())


@pytest.mark.interop
@pytest.mark.parametrize("name", NAMES)
def test_every_picture_of_a_real_publisher_is_decoded(name: str, tmp_path: Path) -> None:
    clip = placed(received(name))
    path = tmp_path / "chunk.mp4"
    path.write_bytes(whole_file(clip))
    pictures = frame_md5(path)
    assert len(pictures) == len(clip.units) == (45 if name == "gst-1.22-basic-audio.txt" else 50)
    assert len(set(pictures)) > 40
    times = sorted(unit.utc_us for unit in clip.units)
    # The slew may make 5 % of it.
    assert all(abs(later - earlier - FRAME_US) < 3000 for earlier, later in pairwise(times))
