"""What the room remembers of devices that are away, kept over restarts."""

import time
from collections.abc import Mapping

import msgspec

from ucam.base.jid import JID, JIDError
from ucam.web.members import Known
from ucam.web.state import KEEP, Decision, Put, State

DEVICES = "devices"


async def read_devices(state: State) -> dict[JID, Known]:
    """What was last known of each device; raises `StateAway`."""
    known = {}
    for jid, record in (await state.owned(DEVICES, "", time.time())).items():
        try:
            known[JID.parse_bare(jid)] = msgspec.json.decode(record, type=Known)
        except (JIDError, msgspec.DecodeError):
            continue  # an older version allowed more names
    return known


async def remember_devices(state: State, known: Mapping[JID, Known]) -> None:
    """Keep what is known of devices, over what is older; raises `StateAway`."""
    for jid, new in known.items():
        put = Put(msgspec.json.encode(new), None, "")

        def rule(record: bytes | None, new: Known = new, put: Put = put) -> tuple[Decision, None]:
            # Another process may have seen it later.
            if record is not None:
                old = msgspec.json.decode(record, type=Known)
                if old.last_seen_us >= new.last_seen_us:
                    return KEEP, None
            return put, None

        await state.change(DEVICES, str(jid), rule, time.time())
