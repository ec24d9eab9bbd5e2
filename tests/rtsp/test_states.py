from ucam.rtsp.states import METHODS, TABLE, State


def test_only_a_publisher_that_was_set_up_records() -> None:
    assert {state for (state, method) in TABLE if method == "RECORD"} == {State.READY}
    assert {state for (state, method) in TABLE if method == "SETUP"} == {
        State.ANNOUNCED,
        State.READY,
        State.DESCRIBED,
        State.PREPARED,
    }


def test_only_a_player_that_was_described_and_set_up_plays() -> None:
    assert {state for (state, method) in TABLE if method == "PLAY"} == {
        State.PREPARED,
        State.PLAYING,
    }
    players = {State.DESCRIBED, State.PREPARED, State.PLAYING}
    for (state, method), after in TABLE.items():
        if state in players:
            assert method not in ("ANNOUNCE", "RECORD")
            assert after in players | {State.CLOSED}


def test_every_open_state_can_be_asked_kept_alive_and_ended() -> None:
    for state in set(State) - {State.CLOSED}:
        for method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
            assert TABLE[state, method] is state
        assert TABLE[state, "TEARDOWN"] is State.CLOSED
    assert not any(state is State.CLOSED for state, _ in TABLE)
    assert len(METHODS) == 10
