"""Plots as SVG: lines over an axis, and bars. Texts only; no library draws them."""

import math
from collections.abc import Callable, Sequence
from html import escape

from bench.result import OURS, Plot, Result, figure

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 210, 56, 52
BAR, LABELS = 30, 250
INK, PALE, GRID = "#22262b", "#6b737c", "#e3e6ea"
# Okabe and Ito's, told apart by those who don't see all colours; ucam's is the first.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
LABEL_GAP = 16

Scale = Callable[[float], float]


def lines(plot: Plot, results: Sequence[Result]) -> str:
    """Medians over `at`, with least and most as whiskers; empty without two places to connect."""
    shown = [result for result in results if result.at is not None]
    places = sorted({result.at for result in shown if result.at is not None})
    if len(places) < 2:
        return ""
    highest = max(result.spread[1] for result in shown)
    lowest = min(result.spread[0] for result in shown)
    y_ticks = _log_ticks(lowest, highest) if plot.log_y else _ticks(highest)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    x = _scale(places[0], places[-1], LEFT + 14, right - 10, log=plot.log_x)
    y = _scale(y_ticks[0], y_ticks[-1], bottom, TOP, log=plot.log_y)
    parts = [_title(plot, shown[0].unit)]
    for value in y_ticks:
        parts.append(_line(LEFT, y(value), right, y(value), GRID))
        parts.append(_text(LEFT - 8, y(value) + 4, figure(value), anchor="end", colour=PALE))
    for value in _spaced(places, x):
        parts.append(_text(x(value), bottom + 20, figure(value), anchor="middle", colour=PALE))
    parts.append(_line(LEFT, bottom, right, bottom, PALE))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 10, plot.axis, anchor="middle", colour=PALE))
    ends: list[tuple[float, float, str, str]] = []
    for peer, colour in _colours(shown).items():
        own = sorted((r for r in shown if r.peer == peer), key=lambda r: r.at or 0)
        parts.append(_curve(own, x, y, colour))
        last = own[-1]
        ends.append((y(last.median), x(last.at or 0), peer, colour))
    parts += _end_labels(ends, right)
    return _svg(WIDTH, HEIGHT, parts)


def bars(plot: Plot, results: Sequence[Result]) -> str:
    """A bar of each peer's median, with least and most; empty without any."""
    if not results:
        return ""
    height = TOP + BAR * len(results) + 16
    highest = max(result.spread[1] for result in results) or 1.0
    x = _scale(0, highest, LABELS, WIDTH - 110, log=False)
    parts = [_title(plot, results[0].unit)]
    colours = _colours(results)
    for number, result in enumerate(results):
        middle = TOP + BAR * (number + 0.5)
        length = max(x(result.median) - LABELS, 1)
        label = result.peer if result.at is None else f"{result.peer}, {figure(result.at)}"
        parts.append(_text(LABELS - 10, middle + 4, label, anchor="end"))
        parts.append(
            f"<rect x='{LABELS}' y='{middle - 9:.1f}' width='{length:.1f}' height='18' rx='2' "
            f"fill='{colours[result.peer]}'/>"
        )
        least, most = map(x, result.spread)
        if result.n > 1:
            parts.append(_line(least, middle, most, middle, INK, width=1.5))
        parts.append(_text(max(most, LABELS + length) + 8, middle + 4, figure(result.median)))
    parts.append(_line(LABELS, TOP - 4, LABELS, height - 10, PALE))
    return _svg(WIDTH, height, parts)


def _colours(results: Sequence[Result]) -> dict[str, str]:
    peers = sorted({r.peer for r in results}, key=lambda peer: (not peer.startswith(OURS), peer))
    return {peer: COLOURS[n % len(COLOURS)] for n, peer in enumerate(peers)}


def _curve(own: Sequence[Result], x: Scale, y: Scale, colour: str) -> str:
    parts = []
    points = [(x(result.at or 0), y(result.median)) for result in own]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.2'/>")
    for result, (px, py) in zip(own, points, strict=True):
        least, most = map(y, result.spread)
        if result.n > 1:
            parts.append(_line(px, least, px, most, colour, width=1.2))
        parts.append(f"<circle cx='{px:.1f}' cy='{py:.1f}' r='4' fill='{colour}'/>")
    return "".join(parts)


def _end_labels(ends: list[tuple[float, float, str, str]], right: float) -> list[str]:
    """The peers' names at the right, apart from each other, joined to where their lines end."""
    parts: list[str] = []
    ends = sorted(ends)
    free = TOP - 8.0 + max(0, len(ends) - 1)
    room = HEIGHT - BOTTOM - LABEL_GAP * (len(ends) - 1)
    for number, (at_y, at_x, peer, colour) in enumerate(ends):
        place = min(max(at_y, free), room + LABEL_GAP * number)
        free = place + LABEL_GAP
        parts.append(_line(at_x + 6, at_y, right + 8, place, colour, width=0.8, dashed=True))
        parts.append(_text(right + 12, place + 4, peer, colour=colour))
    return parts


def _scale(low: float, high: float, start: float, end: float, *, log: bool) -> Scale:
    if log:
        low, high = math.log10(low), math.log10(high)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        position = math.log10(value) if log else value
        return start + (position - low) / span * (end - start)

    return place


def _ticks(highest: float) -> list[float]:
    """From 0 on, at most seven round steps, the last at or above `highest`."""
    if highest <= 0:
        return [0.0, 1.0]
    unit = 10.0 ** math.floor(math.log10(highest))
    step = next(s * unit for s in (0.1, 0.2, 0.25, 0.5, 1, 2) if highest / (s * unit) <= 6)
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _log_ticks(lowest: float, highest: float) -> list[float]:
    first = math.floor(math.log10(lowest)) if lowest > 0 else 0
    last = max(math.ceil(math.log10(highest)), first + 1)
    return [10.0**power for power in range(first, last + 1)]


def _spaced(places: Sequence[float], x: Scale) -> list[float]:
    """Those that have room for their labels; the last has it always."""
    kept: list[float] = []
    for value in reversed(places):
        if not kept or x(kept[-1]) - x(value) > 34:
            kept.append(value)
    return kept[::-1]


def _title(plot: Plot, unit: str) -> str:
    return (
        f"<text x='16' y='26' font-size='16' font-weight='bold' fill='{INK}' {FONT}>"
        f"{escape(plot.title)}</text>"
        f"<text x='16' y='44' font-size='12' fill='{PALE}' {FONT}>{escape(unit)}</text>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='12' text-anchor='{anchor}' fill='{colour}' "
        f"{FONT}>{escape(text)}</text>"
    )


def _line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    *,
    width: float = 1.0,
    dashed: bool = False,
) -> str:
    dash = " stroke-dasharray='2 3'" if dashed else ""
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'{dash}/>"
    )


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}'>\n"
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>\n{body}\n</svg>\n"
    )
