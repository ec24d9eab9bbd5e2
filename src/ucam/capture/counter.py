"""A number in every test picture, for machines: what is missing, twice or out of order shows.

In the lower left corner stand squares, black and white in turn, and then the bits of the number of
pictures since the pipeline's start, the highest first: white is 1. GStreamer's simplevideomark
draws them into the picture where it lies, before the encoder.
"""

from typing import Any

ELEMENT = "simplevideomark"
TURNS = 4
BITS = 24
# Smaller ones don't survive an encoder that is short of bits.
LEAST_SQUARE = 4


def square(width: int) -> int:
    """The side of a square in a picture of that width, in pixels; 0: there is no room."""
    side = width // 160 * 2
    return side if side >= LEAST_SQUARE else 0


def launch(width: int) -> str:
    """What draws it, for a launch text; empty where there is no room."""
    side = square(width)
    if not side:
        return ""
    return (
        " ! identity name=counted signal-handoffs=true silent=true"
        f" ! {ELEMENT} name=counter pattern-width={side} pattern-height={side}"
        f" pattern-count={TURNS} pattern-data-count={BITS} pattern-data=0"
    )


def count(pipeline: Any) -> list[tuple[Any, int]]:
    """Number the pictures of a pipeline with that in it: the signals connected to."""
    counted, drawing = pipeline.get_by_name("counted"), pipeline.get_by_name("counter")
    if counted is None or drawing is None:
        return []
    number = -1

    def next_number(*_: object) -> None:
        # On GStreamer's thread, the one that draws.
        nonlocal number
        number = (number + 1) % (1 << BITS)
        drawing.set_property("pattern-data", number)

    return [(counted, counted.connect("handoff", next_number))]


def read(luma: bytes, stride: int, width: int, height: int) -> int | None:
    """The number in a decoded picture (its Y plane); None when there is none to be read."""
    side = square(width)
    if not side:
        return None
    row = (height - side // 2) * stride
    values = [luma[row + side * place + side // 2] for place in range(TURNS + BITS)]
    if any((value > 127) != bool(place % 2) for place, value in enumerate(values[:TURNS])):
        return None
    return int("".join("1" if value > 127 else "0" for value in values[TURNS:]), 2)
