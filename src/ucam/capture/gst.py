"""GStreamer, initialised once; the one place that says which versions of its libraries we mean."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
with warnings.catch_warnings():
    # PyGObject 3.42's importer is older than Python 3.11's import protocol, and works all the same.
    warnings.simplefilter("ignore", ImportWarning)
    from gi.repository import GLib, Gst, GstSdp, GstVideo, GstWebRTC

Gst.init(None)

__all__ = [
    "GLib",
    "Gst",
    "GstSdp",
    "GstVideo",
    "GstWebRTC",
    "ThisMachine",
    "has_element",
    "proves",
    "structure",
]


def structure(caps: Any, number: int = 0) -> AbstractContextManager[Any]:
    """One structure of caps, for a `with`: newer bindings (1.26) lend it in that way only."""
    found = caps.get_structure(number)
    return found if hasattr(found, "__enter__") else nullcontext(found)


def has_element(name: str) -> bool:
    """Whether an element of this name is installed."""
    return Gst.ElementFactory.find(name) is not None


def proves(name: str) -> bool:
    """Whether the element comes up: READY opens its device, so a driver must be behind it."""
    return has_element(name) and _bring_up(name, lambda _: None) is None


class ThisMachine:
    """`ucam.capture.sources.Machine`, by GStreamer."""

    def has(self, element: str) -> bool:
        """Whether an element of this name is installed."""
        return has_element(element)

    def fault(self, source: str) -> str | None:
        """Why a source doesn't come up; None: it does."""
        return _bring_up(source, lambda _: None)

    def offers(self, source: str, caps: str) -> bool:
        """Whether a source that came up can give one of these caps."""
        found: list[bool] = []

        def look(pad: Any) -> None:
            found.append(pad.query_caps(None).can_intersect(Gst.Caps.from_string(caps)))

        return _bring_up(source, look) is None and found == [True]

    def cameras(self) -> tuple[Path, ...]:
        """Devices of the Video4Linux kind that may be cameras."""
        # From 10 on, a Raspberry Pi has its codecs and scalers there, not cameras.
        return tuple(sorted(Path("/dev").glob("video[0-9]")))


def _bring_up(launch: str, look: Callable[[Any], None]) -> str | None:
    """Bring one element to READY, `look` at its source pad, take it down. Why it didn't come up,
    None when it did.
    """
    # In a pipeline, which has a bus for the element's own words.
    try:
        pipeline: Any = Gst.parse_launch(f"{launch} name=tried ! fakesink")
    except GLib.Error as error:
        return str(error.message)
    try:
        # Not the pipeline: its sink has nothing to do with it.
        tried = pipeline.get_by_name("tried")
        if tried.set_state(Gst.State.READY) == Gst.StateChangeReturn.SUCCESS:
            look(tried.get_static_pad("src"))
            return None
        message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        if message is None:
            return "it does not start"
        return str(message.parse_error()[0].message).rstrip(".")
    finally:
        pipeline.set_state(Gst.State.NULL)
