"""What MQTT subscribers are told of devices: topics and payloads, all retained. No I/O, no clock.

    TOPIC/status               online | offline: ucam web itself (the broker says offline for it)
    TOPIC/JID/state            a device: JSON, see `state_of`
    DISCOVERY/…/config         Home Assistant's MQTT discovery: what appears there by itself

Who watches is counted, not named: whoever may read the broker isn't whoever may see the room.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ucam.base.jid import JID
from ucam.web.config import Location, Mqtt
from ucam.web.health import Presence

ONLINE, OFFLINE = b"online", b"offline"
_RECORDING = ("stored", "spooled", "nothing")
Messages = dict[str, bytes]
"""Payloads by topic."""


class Entity(NamedTuple):
    """One thing that Home Assistant shows of a device. `value`: a template over the state."""

    kind: str
    key: str
    name: str
    value: str
    more: dict[str, str]


def _on_if(condition: str) -> str:
    return f"{{{{ 'ON' if {condition} else 'OFF' }}}}"


_ONLINE = Entity(
    "binary_sensor",
    "online",
    "Online",
    _on_if("value_json.online"),
    {"device_class": "connectivity", "entity_category": "diagnostic"},
)
_PROBLEM = Entity(
    "binary_sensor",
    "problem",
    "Problem",
    _on_if("value_json.message"),
    {"device_class": "problem", "entity_category": "diagnostic"},
)
CAMERA = (
    _ONLINE,
    Entity(
        "binary_sensor",
        "recording",
        "Recording",
        _on_if("value_json.recording == 'stored'"),
        {"device_class": "running"},
    ),
    Entity("sensor", "viewers", "Viewers", "{{ value_json.viewers }}", {"icon": "mdi:eye"}),
    _PROBLEM,
)
TEMPERATURE = Entity(
    "sensor",
    "temperature",
    "Temperature",
    "{{ value_json.temperature }}",
    {
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "state_class": "measurement",
        "entity_category": "diagnostic",
    },
)
STORAGE = (
    _ONLINE,
    Entity(
        "sensor",
        "recordings",
        "Recordings",
        "{{ value_json.bytes }}",
        {"device_class": "data_size", "unit_of_measurement": "B", "state_class": "measurement"},
    ),
    _PROBLEM,
)


def messages(
    config: Mqtt,
    locations: Mapping[str, Location],
    present: Mapping[JID, Presence],
    names: Mapping[JID, str],
) -> Messages:
    """Everything that should be on the broker now. `names`: what devices were called last."""
    found: Messages = {}
    for section, place in locations.items():
        devices = [(jid, False) for jid in place.devices]
        if place.storage is not None:
            devices.append((place.storage, True))
        for jid, is_storage in devices:
            state = state_of(present.get(jid), is_storage=is_storage)
            topic = f"{config.topic}/{topic_name(jid)}/state"
            found[topic] = json.dumps(state).encode()
            if config.discovery:
                shown = STORAGE if is_storage else CAMERA
                if state.get("temperature") is not None:
                    shown = (*shown, TEMPERATURE)
                about = {
                    "identifiers": [f"ucam_{node(jid)}"],
                    "name": names.get(jid, jid.local),
                    "manufacturer": "ucam",
                    "model": "storage" if is_storage else "camera",
                    "suggested_area": place.title or section,
                }
                found.update(_discovery(config, jid, about, shown, topic))
    return found


def state_of(here: Presence | None, *, is_storage: bool) -> dict[str, Any]:
    """A device as subscribers see it: only what is of a kind that is expected."""
    status = (here.status if here is not None else None) or {}
    said: dict[str, Any] = {"online": here is not None, "message": _text(status.get("message"))}
    if is_storage:
        return said | {"bytes": _number(status.get("bytes"))}
    recording = status.get("recording")
    viewers = status.get("viewers")
    return said | {
        "recording": recording if recording in _RECORDING else None,
        "storage": status.get("storage") == "connected",
        "viewers": len(viewers) if isinstance(viewers, list | tuple) else 0,
        "temperature": _number(status.get("temperature")),
    }


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(c if c.isprintable() else " " for c in value[:300]).strip() or None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    # A tenth of a degree is news enough.
    return round(value, 0 if abs(value) > 1000 else 1)


def topic_name(jid: JID) -> str:
    """A JID as one level of a topic: `+` alone would be a wildcard there (MQTT 5 section 4.7)."""
    return jid.replace("+", "%2B")


def node(jid: JID) -> str:
    """A JID in the letters that discovery topics and ids may have; no two become one."""
    return re.sub(r"[^a-z0-9]", lambda match: f"_{ord(match[0]):x}_", jid)


def _discovery(
    config: Mqtt, jid: JID, about: dict[str, Any], entities: tuple[Entity, ...], state: str
) -> Iterator[tuple[str, bytes]]:
    for entity in entities:
        told = {
            "name": entity.name,
            "unique_id": f"ucam_{node(jid)}_{entity.key}",
            "state_topic": state,
            "value_template": entity.value,
            "availability_topic": f"{config.topic}/status",
            "device": about,
            **entity.more,
        }
        if entity is _PROBLEM:
            told["json_attributes_topic"] = state
        topic = f"{config.discovery}/{entity.kind}/ucam_{node(jid)}/{entity.key}/config"
        yield topic, json.dumps(told).encode()
