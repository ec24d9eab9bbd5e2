"""G.711 into AAC, which browsers play: the only media that storage codes anew."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from ucam.media.aac import SPEECH, SPEECH_RATE
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import ticks
from ucam.media.track import AudioTrack
from ucam.storage.stream import Arrived

_log = logging.getLogger(__name__)

ENCODINGS = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
BIT_RATE = 32_000
# What was sent and what the clock says may differ by this much before the coder starts anew.
MOST_DRIFT_US = 40_000
# Packets of 20 ms come 50 times a second: a thread is asked five times.
BATCH = 10
MOST_WAITING = 100  # batches, 20 s; beyond it the newest are dropped and counted


class G711Coder:
    """Units of G.711 into AAC frames, 64 ms each. Blocks: some milliseconds a second of sound.

    A frame's time is that of its first sample; what the coder delays is taken off.
    """

    def __init__(self, encoding: str, sample_rate: int, channels: int, first_number: int) -> None:
        self._decoder_name = ENCODINGS[encoding]
        self._rate = sample_rate
        self._channels = channels
        self._number = first_number
        self._begin()

    def _begin(self) -> None:
        decoder = av.CodecContext.create(self._decoder_name, "r")
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(decoder, AudioCodecContext)
        assert isinstance(encoder, AudioCodecContext)
        decoder.sample_rate = self._rate
        decoder.layout = "mono" if self._channels == 1 else "stereo"
        encoder.sample_rate = SPEECH_RATE
        encoder.layout = "mono"
        encoder.format = "fltp"
        encoder.bit_rate = BIT_RATE
        encoder.open()
        self._decoder, self._encoder = decoder, encoder
        self._resampler = av.AudioResampler("fltp", "mono", SPEECH_RATE, frame_size=1024)
        self._samples_in = 0
        # (input sample, its UTC): at most a few seconds of them, old ones go as frames come out.
        self._anchors: deque[tuple[int, int]] = deque()

    def code(self, unit: AccessUnit) -> list[AccessUnit]:
        """What becomes whole with this unit."""
        made: list[AccessUnit] = []
        if self._anchors:
            sample, utc_us = self._anchors[-1]
            expected_us = utc_us + (self._samples_in - sample) * 1_000_000 // self._rate
            if abs(unit.utc_us - expected_us) > MOST_DRIFT_US:
                made = self.flush()
        self._anchors.append((self._samples_in, unit.utc_us))
        for frame in self._decoder.decode(av.Packet(unit.data)):
            frame.pts = self._samples_in
            frame.sample_rate = self._rate
            self._samples_in += frame.samples
            for resampled in self._resampler.resample(frame):
                made += self._encode(resampled)
        return made

    def flush(self) -> list[AccessUnit]:
        """The sound ends here, or goes on elsewhere."""
        made: list[AccessUnit] = []
        if self._samples_in:
            for resampled in self._resampler.resample(None):
                made += self._encode(resampled)
            made += self._encode(None)
        self._begin()
        return made

    def _encode(self, frame: AudioFrame | None) -> list[AccessUnit]:
        made = []
        for packet in self._encoder.encode(frame):
            utc_us = self._utc(packet.pts or 0)
            made.append(AccessUnit(bytes(packet), ticks(utc_us), utc_us, True, self._number))
            self._number += 1
        return made

    def _utc(self, pts: int) -> int:
        """Of a sample of what comes out, which may lie before what came in."""
        sample = pts * self._rate // SPEECH_RATE
        while len(self._anchors) > 1 and self._anchors[1][0] <= sample:
            self._anchors.popleft()
        first, utc_us = self._anchors[0]
        return utc_us + (sample - first) * 1_000_000 // self._rate


class Transcoder:
    """A `G711Coder` in a thread of its own, fed by the event loop; `sink` is called on the loop."""

    def __init__(
        self,
        encoding: str,
        sample_rate: int,
        channels: int,
        first_number: int,
        sink: Callable[[Arrived], None],
    ) -> None:
        self._track = AudioTrack.aac(SPEECH)
        self._coder = G711Coder(encoding, sample_rate, channels, first_number)
        self._sink = sink
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="g711")
        self._loop = asyncio.get_running_loop()
        self._batch: list[AccessUnit] = []
        self._stepped = False
        self._waiting = 0
        self.dropped = 0

    def push(self, arrived: Arrived) -> None:
        """The next packet's samples."""
        self._stepped = self._stepped or arrived.stepped
        self._batch.append(arrived.unit)
        if len(self._batch) >= BATCH:
            self._submit()

    def _submit(self) -> None:
        batch, self._batch = self._batch, []
        if self._waiting >= MOST_WAITING:
            self.dropped += len(batch)
            return
        stepped, self._stepped = self._stepped, False
        self._waiting += 1
        job = self._worker.submit(self._code, batch)
        job.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._coded, done, stepped)
        )

    def _code(self, batch: list[AccessUnit]) -> list[AccessUnit]:
        return [made for unit in batch for made in self._coder.code(unit)]

    def _coded(self, done: "Future[list[AccessUnit]]", stepped: bool) -> None:
        self._waiting -= 1
        if error := done.exception():
            _log.error("G.711 could not be coded", exc_info=error)
            return
        for unit in done.result():
            self._sink(Arrived(unit, self._track, stepped))
            stepped = False

    async def finish(self) -> None:
        """Everything that was pushed has gone to the sink; nothing may be pushed any more."""
        if self._batch:
            self._submit()
        last = await asyncio.wrap_future(self._worker.submit(self._coder.flush))
        self._worker.shutdown(wait=False)
        # What the worker had done before is on the loop already, ahead of this.
        for unit in last:
            self._sink(Arrived(unit, self._track, stepped=False))
