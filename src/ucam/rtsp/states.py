"""Which method is allowed when: (state, method) → the state a success leads to."""

from enum import Enum


class State(Enum):
    """Where a server session is (RFC 2326 appendix A.2, with ANNOUNCE and DESCRIBE). A publisher's
    way is ANNOUNCED, READY, RECORDING, a player's DESCRIBED, PREPARED, PLAYING.
    """

    INIT = "init"
    ANNOUNCED = "announced"
    READY = "ready"
    RECORDING = "recording"
    DESCRIBED = "described"
    PREPARED = "prepared"
    PLAYING = "playing"
    CLOSED = "closed"


# What is missing is answered 455.
TABLE: dict[tuple[State, str], State] = {
    (State.INIT, "OPTIONS"): State.INIT,
    (State.INIT, "GET_PARAMETER"): State.INIT,
    (State.INIT, "SET_PARAMETER"): State.INIT,
    (State.INIT, "ANNOUNCE"): State.ANNOUNCED,
    (State.INIT, "TEARDOWN"): State.CLOSED,
    (State.ANNOUNCED, "OPTIONS"): State.ANNOUNCED,
    (State.ANNOUNCED, "GET_PARAMETER"): State.ANNOUNCED,
    (State.ANNOUNCED, "SET_PARAMETER"): State.ANNOUNCED,
    (State.ANNOUNCED, "SETUP"): State.READY,
    (State.ANNOUNCED, "TEARDOWN"): State.CLOSED,
    (State.READY, "OPTIONS"): State.READY,
    (State.READY, "GET_PARAMETER"): State.READY,
    (State.READY, "SET_PARAMETER"): State.READY,
    (State.READY, "SETUP"): State.READY,
    (State.READY, "RECORD"): State.RECORDING,
    (State.READY, "TEARDOWN"): State.CLOSED,
    (State.RECORDING, "OPTIONS"): State.RECORDING,
    (State.RECORDING, "GET_PARAMETER"): State.RECORDING,
    (State.RECORDING, "SET_PARAMETER"): State.RECORDING,
    # rtspclientsink says it before TEARDOWN; what comes all the same is kept.
    (State.RECORDING, "PAUSE"): State.RECORDING,
    (State.RECORDING, "TEARDOWN"): State.CLOSED,
    (State.INIT, "DESCRIBE"): State.DESCRIBED,
    (State.DESCRIBED, "OPTIONS"): State.DESCRIBED,
    (State.DESCRIBED, "GET_PARAMETER"): State.DESCRIBED,
    (State.DESCRIBED, "SET_PARAMETER"): State.DESCRIBED,
    (State.DESCRIBED, "DESCRIBE"): State.DESCRIBED,
    (State.DESCRIBED, "SETUP"): State.PREPARED,
    (State.DESCRIBED, "TEARDOWN"): State.CLOSED,
    (State.PREPARED, "OPTIONS"): State.PREPARED,
    (State.PREPARED, "GET_PARAMETER"): State.PREPARED,
    (State.PREPARED, "SET_PARAMETER"): State.PREPARED,
    (State.PREPARED, "SETUP"): State.PREPARED,
    (State.PREPARED, "PLAY"): State.PLAYING,
    (State.PREPARED, "PAUSE"): State.PREPARED,
    (State.PREPARED, "TEARDOWN"): State.CLOSED,
    (State.PLAYING, "OPTIONS"): State.PLAYING,
    (State.PLAYING, "GET_PARAMETER"): State.PLAYING,
    (State.PLAYING, "SET_PARAMETER"): State.PLAYING,
    (State.PLAYING, "PLAY"): State.PLAYING,
    (State.PLAYING, "PAUSE"): State.PREPARED,
    (State.PLAYING, "TEARDOWN"): State.CLOSED,
}

METHODS = tuple(sorted({method for _, method in TABLE}))
# What OPTIONS tells. A player's PAUSE is answered, but it isn't offered: rtspclientsink 1.22 that
# reads of it sends one at its end from a second thread, into the middle of a packet that is being
# written, and what follows can't be read.
OFFERED = tuple(method for method in METHODS if method != "PAUSE")
