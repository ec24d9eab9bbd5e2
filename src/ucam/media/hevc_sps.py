"""Sequence parameter sets of H.265 (ITU-T H.265 §7.3.2.2, §7.3.3)."""

from dataclasses import dataclass

from ucam.media.bits import BitReader, unescape
from ucam.media.errors import BitstreamError

MAX_SPS = 4096
MAX_SIDE = 16_384
_TIERS = ("L", "H")
_SPACES = ("", "A", "B", "C")


@dataclass(frozen=True, slots=True)
class HevcSps:
    """What ucam needs of a sequence parameter set of H.265.

    `profile`: the 12 bytes from general_profile_space to general_level_idc, as hvcC has them.
    `width`, `height`: pixels after cropping. `reorder_depth`: sps_max_num_reorder_pics.
    """

    sps_id: int
    profile: bytes
    sub_layers: int
    nested: bool
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    width: int
    height: int
    reorder_depth: int

    @property
    def codec_string(self) -> str:
        """As in ISO/IEC 14496-15 annex E: "hvc1.1.6.L93.B0"."""
        first, level = self.profile[0], self.profile[11]
        compatible = int.from_bytes(self.profile[1:5])
        mirrored = int(f"{compatible:032b}"[::-1], 2)
        constraints = self.profile[5:11].rstrip(b"\0")
        parts = [
            f"hvc1.{_SPACES[first >> 6]}{first & 0x1F}",
            f"{mirrored:x}",
            f"{_TIERS[first >> 5 & 1]}{level}",
            *(f"{byte:x}" for byte in constraints),
        ]
        return ".".join(parts)


def parse_hevc_sps(nal: bytes) -> HevcSps:
    """Read an SPS NAL unit; raises `BitstreamError`."""
    if not 16 <= len(nal) <= MAX_SPS or nal[0] >> 1 & 0x3F != 33:
        raise BitstreamError(f"no H.265 SPS: {len(nal)} bytes that begin with {nal[:2].hex()}")
    payload = unescape(nal[2:])
    bits = BitReader(payload)
    bits.u(4)
    more_layers = _at_most(bits.u(3), 6, "sps_max_sub_layers_minus1")
    nested = bits.flag()
    bits.u(96)
    _skip_sub_layers(bits, more_layers)
    sps_id = _at_most(bits.ue(), 15, "sps_seq_parameter_set_id")
    chroma = _at_most(bits.ue(), 3, "chroma_format_idc")
    separate = chroma == 3 and bits.flag()
    width, height = _picture_size(bits, 0 if separate else chroma)
    luma_depth = 8 + _at_most(bits.ue(), 8, "bit_depth_luma_minus8")
    chroma_depth = 8 + _at_most(bits.ue(), 8, "bit_depth_chroma_minus8")
    _at_most(bits.ue(), 12, "log2_max_pic_order_cnt_lsb_minus4")
    reorder = 0
    for _ in range(more_layers + 1 if bits.flag() else 1):
        bits.ue()
        reorder = _at_most(bits.ue(), 16, "sps_max_num_reorder_pics")
        bits.ue()
    return HevcSps(
        sps_id=sps_id,
        profile=payload[1:13],
        sub_layers=more_layers + 1,
        nested=nested,
        chroma_format=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        width=width,
        height=height,
        reorder_depth=reorder,
    )


def _at_most(value: int, limit: int, name: str) -> int:
    if value > limit:
        raise BitstreamError(f"{name} is {value}, more than {limit}")
    return value


def _skip_sub_layers(bits: BitReader, count: int) -> None:
    """Profiles and levels of the temporal sub-layers (§7.3.3)."""
    if not count:
        return
    present = [(bits.flag(), bits.flag()) for _ in range(count)]
    bits.u(2 * (8 - count))
    for profile, level in present:
        bits.u((88 if profile else 0) + (8 if level else 0))


def _picture_size(bits: BitReader, chroma_array_type: int) -> tuple[int, int]:
    """Pixels after cropping (§7.4.3.2.1)."""
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (2 if chroma_array_type in (1, 2) else 1) * (left + right)
        height -= (2 if chroma_array_type == 1 else 1) * (top + bottom)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BitstreamError(f"a picture of {width} × {height} pixels")
    return width, height
