"""Reading the bits of parameter sets (H.264 §7.2, §9.1)."""

from ucam.media.errors import BitstreamError


def unescape(nal: bytes) -> bytes:
    """The raw payload of a NAL unit: without emulation prevention bytes (H.264 §7.4.1.1)."""
    out = bytearray()
    start = 0
    while (found := nal.find(b"\x00\x00\x03", start)) >= 0:
        out += nal[start : found + 2]
        start = found + 3
    return bytes(out + nal[start:])


class BitReader:
    """Bits, most significant first; every method raises `BitstreamError` at the end."""

    def __init__(self, payload: bytes) -> None:
        self._value = int.from_bytes(payload)
        self._left = len(payload) * 8

    @property
    def left(self) -> int:
        """How many bits are left."""
        return self._left

    def copy(self) -> "BitReader":
        """Another reader of what is left."""
        other = BitReader(b"")
        other._value, other._left = self._value, self._left
        return other

    def u(self, bits: int) -> int:
        """So many bits as an unsigned number."""
        if bits > self._left:
            raise BitstreamError("parameter set ends too early")
        self._left -= bits
        return self._value >> self._left & (1 << bits) - 1

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """Unsigned exp-Golomb code (§9.1), at most 32 bits."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise BitstreamError("exp-Golomb code longer than 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """Signed exp-Golomb code (§9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
