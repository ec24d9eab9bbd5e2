"""Which media of a session can be recorded: one video and one audio track, or either alone."""

from ucam.rtsp.sdp import Media, SessionDescription

# Encodings, with their clock rates; 0: any.
_VIDEO = {"H264": 90_000, "H265": 90_000}
_AUDIO = {"MPEG4-GENERIC": 0, "MP4A-LATM": 0, "OPUS": 48_000, "PCMU": 0, "PCMA": 0}
MAX_AUDIO_RATE = 192_000


def is_supported(media: Media) -> bool:
    """Whether this track could be recorded. Not: interleaved H.264 and H.265 (RFC 6184 §6.4,
    RFC 7798 §4.1), AAC that is interleaved; no known publisher uses these. LATM whose
    configuration is said nowhere (RFC 6416 `cpresent=0`).
    """
    parameters = media.parameters
    if media.kind == "video":
        mode = parameters.get("packetization-mode", "0")
        wanted = _VIDEO.get(media.encoding)
        plain = mode in ("0", "1") and parameters.get("sprop-max-don-diff", "0") == "0"
        return wanted is not None and media.clock_rate == wanted and plain
    if media.kind != "audio" or media.encoding not in _AUDIO:
        return False
    if media.encoding == "MPEG4-GENERIC" and not parameters.get("mode", "").lower().startswith(
        "aac"
    ):
        return False
    untold = parameters.get("cpresent") == "0" and "config" not in parameters
    if media.encoding == "MP4A-LATM" and untold:
        return False
    wanted = _AUDIO[media.encoding]
    return media.clock_rate == wanted if wanted else 8000 <= media.clock_rate <= MAX_AUDIO_RATE


def recordable(session: SessionDescription) -> frozenset[int]:
    """The places of the media that are recorded: the first supported of each kind."""
    first: dict[str, int] = {}
    for index, media in enumerate(session.media):
        if is_supported(media):
            first.setdefault(media.kind, index)
    return frozenset(first.values())
