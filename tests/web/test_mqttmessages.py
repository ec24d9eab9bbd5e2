"""What stands on the broker: Home Assistant's own template language reads it."""

import json
import re
from typing import Any

import jinja2
import pytest

from ucam.base.jid import JID
from ucam.web.config import Location, Mqtt
from ucam.web.health import Presence
from ucam.web.mqttmessages import messages, node, state_of, topic_name

CAM, DISK = JID("cam001@studio.loc"), JID("storage@studio.loc")
PLACES = {"studio": Location(devices=(CAM,), storage=DISK, title="Harbour Street")}
CONFIG = Mqtt(url="mqtt://localhost")
WELL = {
    "recording": "stored",
    "storage": "connected",
    "viewers": ["ann@example.com/x"],
    "temperature": 48.23,
    "message": None,
}


def told(present: dict[JID, Presence], config: Mqtt = CONFIG) -> dict[str, Any]:
    """Every message, decoded."""
    found = messages(config, PLACES, present, {CAM: "Front door"})
    return {topic: json.loads(payload) for topic, payload in found.items()}


def shown(present: dict[JID, Presence], jid: JID = CAM) -> dict[str, str]:
    """What Home Assistant shows of a device, by its templates over the state."""
    everything = told(present)
    entities = {}
    for topic, config in everything.items():
        if f"/ucam_{node(jid)}/" in topic:
            value = jinja2.Template(config["value_template"])
            entities[config["name"]] = value.render(value_json=everything[config["state_topic"]])
    return entities


def test_a_camera_that_is_well() -> None:
    here = {CAM: Presence("Front door", WELL)}
    assert shown(here) == {
        "Online": "ON",
        "Recording": "ON",
        "Viewers": "1",
        "Problem": "OFF",
        "Temperature": "48.2",
    }
    assert "ann" not in json.dumps(told(here))


def test_a_camera_that_is_away_or_in_trouble() -> None:
    assert shown({}) == {"Online": "OFF", "Recording": "OFF", "Viewers": "0", "Problem": "OFF"}
    trouble = {**WELL, "recording": "spooled", "message": "Storage is away: no route."}
    found = shown({CAM: Presence("Front door", trouble)})
    assert (found["Recording"], found["Problem"]) == ("OFF", "ON")


def test_a_storage() -> None:
    here = {DISK: Presence("storage", {"bytes": 12_345_678_901, "recording": {"x": {}}})}
    assert shown(here, DISK) == {"Online": "ON", "Recordings": "12345678901", "Problem": "OFF"}


def test_discovery_as_home_assistant_wants_it() -> None:
    found = told({CAM: Presence("Front door", WELL)})
    configs = {topic: told for topic, told in found.items() if topic.endswith("/config")}
    ids = [config["unique_id"] for config in configs.values()]
    assert len(set(ids)) == len(ids) == 8
    for topic, config in configs.items():
        assert re.fullmatch(
            r"homeassistant/(binary_)?sensor/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", topic
        )
        assert config["state_topic"] in found
        assert config["availability_topic"] == "ucam/status"
        assert config["device"]["identifiers"]
        assert config["device"]["suggested_area"] == "Harbour Street"
    assert {config["device"]["name"] for config in configs.values()} == {"Front door", "storage"}
    assert not [t for t in told({}, Mqtt(url="mqtt://x", discovery="")) if t.endswith("/config")]


@pytest.mark.parametrize(
    "status",
    [
        {"temperature": float("nan"), "viewers": 7, "recording": ["stored"], "message": 5},
        {"temperature": True, "viewers": None, "recording": "STORED", "message": "\x00\n"},
        {},
    ],
)
def test_a_device_that_says_nonsense(status: dict[str, Any]) -> None:
    state = state_of(Presence("x", status), is_storage=False)
    assert (state["recording"], state["temperature"]) == (None, None)
    assert (state["viewers"], state["message"]) == (0, None)
    json.dumps(state, allow_nan=False)


def test_any_jid_is_one_level_of_a_topic() -> None:
    jids = [JID(text) for text in ("a+b@x.loc", "a_b@x.loc", "a%b@x.loc", "a-b@x.loc", "a.b@x.loc")]
    assert len({node(jid) for jid in jids}) == len(jids)
    for jid in jids:
        assert not re.search(r"[+#/]", topic_name(jid))
