"""Which of several processes does what only one should do: the first that asks, while it lives."""

import secrets

from ucam.web.state import KEEP, Decision, Put, State

LEASE_S = 60.0


class Lease:
    """One task's lease, kept in the state under `shelf`."""

    def __init__(self, state: State, shelf: str) -> None:
        self._state = state
        self._shelf = shelf
        self._me = secrets.token_hex(8).encode()

    async def is_mine(self, now_s: float) -> bool:
        """Whether this process holds it for the next `LEASE_S`; raises `StateAway`."""

        def rule(holder: bytes | None) -> tuple[Decision, bool]:
            if holder not in (None, self._me):
                return KEEP, False
            return Put(self._me, now_s + LEASE_S), True

        return await self._state.change(self._shelf, "lease", rule, now_s)
