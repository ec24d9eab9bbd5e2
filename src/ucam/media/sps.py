"""Sequence parameter sets of H.264 (ITU-T H.264 §7.3.2.1.1, annex E)."""

from dataclasses import dataclass

from ucam.media.bits import BitReader, unescape
from ucam.media.errors import BitstreamError

MAX_SPS = 4096
MAX_SIDE = 16_384

# Profiles whose SPS tells chroma format and bit depth (§7.3.2.1.1).
HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_BASELINE = 66


@dataclass(frozen=True, slots=True)
class Sps:
    """What ucam needs of a sequence parameter set.

    `constraints`: the byte of constraint flags. `width`, `height`: pixels after cropping.
    `reorder_frames`: max_num_reorder_frames, None where the SPS doesn't say.
    """

    sps_id: int
    profile_idc: int
    constraints: int
    level_idc: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    poc_type: int
    width: int
    height: int
    reorder_frames: int | None

    @property
    def codec_string(self) -> str:
        """As in RFC 6381 §3.3: "avc1.64001f"."""
        return f"avc1.{self.profile_idc:02x}{self.constraints:02x}{self.level_idc:02x}"

    @property
    def reorder_depth(self) -> int:
        """How many pictures may be reordered. Where the SPS is silent: 0, since the cameras whose
        SPS is silent have no B-frames (the standard's own default would be the whole buffer).
        """
        if self.profile_idc == _BASELINE or self.poc_type == 2 or self.reorder_frames is None:
            return 0
        return self.reorder_frames


def parse_sps(nal: bytes) -> Sps:
    """Read an SPS NAL unit; raises `BitstreamError`."""
    if not 4 <= len(nal) <= MAX_SPS or nal[0] & 0x1F != 7:
        raise BitstreamError(
            f"no SPS: {len(nal)} bytes that begin with {nal[:1].hex() or 'nothing'}"
        )
    bits = BitReader(unescape(nal[1:]))
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    sps_id = _at_most(bits.ue(), 31, "seq_parameter_set_id")
    chroma, luma_depth, chroma_depth, separate = 1, 8, 8, False
    if profile in HIGH_PROFILES:
        chroma = _at_most(bits.ue(), 3, "chroma_format_idc")
        separate = chroma == 3 and bits.flag()
        luma_depth = 8 + _at_most(bits.ue(), 6, "bit_depth_luma_minus8")
        chroma_depth = 8 + _at_most(bits.ue(), 6, "bit_depth_chroma_minus8")
        bits.flag()
        if bits.flag():
            _skip_scaling_lists(bits, 8 if chroma != 3 else 12)
    bits.ue()
    poc_type = _skip_order_count(bits)
    bits.ue()
    bits.flag()
    width, height = _picture_size(bits, 0 if separate else chroma)
    return Sps(
        sps_id=sps_id,
        profile_idc=profile,
        constraints=constraints,
        level_idc=level,
        chroma_format=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        poc_type=poc_type,
        width=width,
        height=height,
        reorder_frames=_reorder_frames(bits),
    )


def _at_most(value: int, limit: int, name: str) -> int:
    if value > limit:
        raise BitstreamError(f"{name} is {value}, more than {limit}")
    return value


def _skip_scaling_lists(bits: BitReader, lists: int) -> None:
    for index in range(lists):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_order_count(bits: BitReader) -> int:
    poc_type = _at_most(bits.ue(), 2, "pic_order_cnt_type")
    if poc_type == 0:
        bits.ue()
    elif poc_type == 1:
        bits.flag()
        bits.se()
        bits.se()
        for _ in range(_at_most(bits.ue(), 255, "num_ref_frames_in_pic_order_cnt_cycle")):
            bits.se()
    return poc_type


def _picture_size(bits: BitReader, chroma_array_type: int) -> tuple[int, int]:
    """Pixels after cropping (§7.4.2.1.1, equations 7-13 to 7-22)."""
    width = 16 * (_at_most(bits.ue(), MAX_SIDE // 16, "pic_width_in_mbs_minus1") + 1)
    height = 16 * (_at_most(bits.ue(), MAX_SIDE // 16, "pic_height_in_map_units_minus1") + 1)
    frames_only = bits.flag()
    if not frames_only:
        height *= 2
        bits.flag()
    bits.flag()
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        unit_x = 2 if chroma_array_type in (1, 2) else 1
        unit_y = (2 if chroma_array_type == 1 else 1) * (1 if frames_only else 2)
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BitstreamError(f"a picture of {width} × {height} pixels")
    return width, height


def _reorder_frames(bits: BitReader) -> int | None:
    """max_num_reorder_frames, None where it is not told."""
    if not bits.flag():
        return None
    try:
        return _reorder_frames_of_vui(bits)
    except BitstreamError:
        # Cameras exist whose VUI is cut short; decoders read past it, and nothing else needs it.
        return None


def _reorder_frames_of_vui(bits: BitReader) -> int | None:
    """max_num_reorder_frames of the VUI (§E.1.1), None when it is not there."""
    if bits.flag() and bits.u(8) == 255:  # aspect ratio, explicit
        bits.u(32)
    if bits.flag():  # overscan
        bits.flag()
    if bits.flag():  # video signal type
        bits.u(4)
        if bits.flag():
            bits.u(24)
    if bits.flag():  # chroma location
        bits.ue()
        bits.ue()
    if bits.flag():  # timing: num_units_in_tick, time_scale, fixed_frame_rate_flag
        bits.u(65)
    nal_hrd = bits.flag()
    if nal_hrd:
        _skip_hrd(bits)
    vcl_hrd = bits.flag()
    if vcl_hrd:
        _skip_hrd(bits)
    if nal_hrd or vcl_hrd:
        bits.flag()
    bits.flag()
    if not bits.flag():
        return None
    bits.flag()
    for _ in range(4):
        bits.ue()
    return _at_most(bits.ue(), 16, "max_num_reorder_frames")


def _skip_hrd(bits: BitReader) -> None:
    count = _at_most(bits.ue(), 31, "cpb_cnt_minus1") + 1
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.u(20)
