"""GStreamer, initialised once; the one place that says which versions of its libraries we mean."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
with warnings.catch_warnings():
    # PyGObject 3.42's importer is older than Python 3.11's import protocol, and works all the same.
    warnings.simplefilter("ignore", ImportWarning)
    # GstApp is imported for its effect: without it an appsink has no try_pull_sample in Python.
    from gi.repository import GLib, Gst, GstApp, GstSdp, GstVideo, GstWebRTC

Gst.init(None)

__all__ = [
    "GLib",
    "Gst",
    "GstApp",
    "GstSdp",
    "GstVideo",
    "GstWebRTC",
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
    element: Any = Gst.ElementFactory.make(name, None)
    if element is None:
        return False
    try:
        return bool(element.set_state(Gst.State.READY) == Gst.StateChangeReturn.SUCCESS)
    finally:
        element.set_state(Gst.State.NULL)
