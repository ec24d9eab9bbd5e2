"""How often a person may begin a call."""

BURST = 12
EACH_S = 1.0
MAX_PEOPLE = 1000


class CallLimit:
    """A token bucket for each bare JID: `burst` at once, then one each `each_s` seconds."""

    def __init__(self, burst: int = BURST, each_s: float = EACH_S) -> None:
        self._burst = burst
        self._each_s = each_s
        # When a person's bucket will be full again.
        self._full_at_s: dict[str, float] = {}

    def allows(self, jid: str, now_s: float) -> bool:
        """Whether `jid` may begin one now; it counts if so."""
        full_at_s = max(self._full_at_s.get(jid, now_s), now_s)
        if full_at_s - now_s > (self._burst - 1) * self._each_s:
            return False
        if len(self._full_at_s) >= MAX_PEOPLE:
            self._full_at_s = {who: at for who, at in self._full_at_s.items() if at > now_s}
        self._full_at_s[jid] = full_at_s + self._each_s
        return True
