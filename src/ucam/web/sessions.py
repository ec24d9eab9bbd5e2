"""Sessions: from a login link to a token, from a token to its successor, and the end.

Each session has one current token, known by its id. Recycling makes a successor; the same
successor is given again for `GRACE_S` (an answer may be lost), and after that the reuse of the old
token ends the whole session: two parties hold it, and one of them stole it.

Two rules keep a camera on a bad line from locking itself out, where nobody can click a link:
- A device's successor that nobody has come with yet is given again at any time.
- A device's token that no session knows (made by `ucam token`) begins a session of its own.

Nothing here reads a clock or knows HTTP; all of it blocks on the database.
"""

import hashlib
import secrets
import sqlite3

import msgspec

from ucam.base.jid import JID
from ucam.base.tokens import Claims, Role
from ucam.web.access import Party
from ucam.web.issuer import Issued, Issuer
from ucam.web.store import Store

GRACE_S = 10.0


class LinkError(ValueError):
    """A login link that opens nothing: unknown, used or expired. Which one isn't told."""


class SessionError(ValueError):
    """A token whose session is over. `ended` names a session that ends with this very request."""

    def __init__(self, text: str, ended: str | None = None) -> None:
        super().__init__(text)
        self.ended = ended


class _Row(msgspec.Struct, frozen=True, array_like=True):
    sid: str
    jid: str
    role: Role
    ends_s: float | None
    current_jti: str
    current_iat: int
    current_exp: int
    current_used: int
    previous_jti: str | None
    rotated_s: float | None
    ended: int

    def accepts(self, jti: str, now_s: float) -> bool:
        """Whether a token of this session may still be used to come in."""
        return jti == self.current_jti or (jti == self.previous_jti and self.forgives(now_s))

    def forgives(self, now_s: float) -> bool:
        """Whether the use of the previous token still looks like a lost answer."""
        in_time = self.rotated_s is not None and now_s - self.rotated_s <= GRACE_S
        return in_time or (self.role != "user" and not self.current_used)


class Sessions:
    """The sessions of one store."""

    def __init__(self, store: Store, issuer: Issuer) -> None:
        self._store = store
        self.issuer = issuer
        """Makes the tokens; a reloaded configuration brings a new one."""

    # Links

    def create_link(self, jid: JID, now_s: float) -> str:
        """A login token for `jid`: 256 random bits, single use, of which only the hash is kept."""
        token = secrets.token_urlsafe(32)
        expires_s = now_s + self.issuer.config.userauth.link_validity
        with self._store.transaction() as db:
            db.execute("DELETE FROM login_links WHERE expires_s <= ?", (now_s,))
            db.execute(
                "INSERT INTO login_links VALUES (?, ?, ?)", (_hash(token), str(jid), expires_s)
            )
        return token

    def redeem_link(self, token: str, now_s: float) -> Issued:
        """Use up a login token and begin a session; raises `LinkError`."""
        with self._store.transaction() as db:
            row = db.execute(
                "DELETE FROM login_links WHERE hash = ? RETURNING jid, expires_s", (_hash(token),)
            ).fetchone()
        # Raised out here: the transaction has committed, so a refused link is used up too.
        if row is None or row[1] <= now_s:
            raise LinkError("this link is not valid any more")
        party = Party(JID.parse_bare(row[0]), "user")
        if not self.issuer.access.admits(party):
            raise LinkError("this link is not valid any more")
        return self._start(party, now_s)

    # Tokens

    def recycle(self, claims: Claims, now_s: float) -> Issued:
        """The successor of a verified token; raises `SessionError`."""
        party = self._admitted(claims)
        sid = claims.sid or claims.jti
        with self._store.transaction() as db:
            row = self._find(db, claims, now_s)
            if claims.jti == row.current_jti:
                successor = self.issuer.claims(party, sid, now_s, row.ends_s)
                db.execute(
                    "UPDATE sessions SET current_jti = ?, current_iat = ?, current_exp = ?, "
                    "latest_exp = max(latest_exp, ?), current_used = 0, previous_jti = ?, "
                    "rotated_s = ? WHERE sid = ?",
                    (*_times(successor), successor.exp, claims.jti, now_s, sid),
                )
                return self.issuer.issue(successor)
            stolen = not row.accepts(claims.jti, now_s)
            if stolen:
                db.execute("UPDATE sessions SET ended = 1 WHERE sid = ?", (sid,))
        if stolen:
            raise SessionError("an old token was used again; the session has ended", ended=sid)
        again = self.issuer.claims(party, sid, now_s, row.ends_s)
        return self.issuer.issue(
            msgspec.structs.replace(
                again, jti=row.current_jti, iat=row.current_iat, exp=row.current_exp
            )
        )

    def enter(self, claims: Claims, now_s: float) -> None:
        """Let a verified token's owner in.

        Raises `SessionError`. A token that was recycled away is refused here, but ends nothing:
        a second tab of the page may not have heard of its successor.
        """
        self._admitted(claims)
        with self._store.transaction() as db:
            row = self._find(db, claims, now_s)
            if not row.accepts(claims.jti, now_s):
                raise SessionError("this token was replaced by a newer one")
            if claims.jti == row.current_jti and not row.current_used:
                db.execute("UPDATE sessions SET current_used = 1 WHERE sid = ?", (row.sid,))

    def alive_until(self, claims: Claims) -> float:
        """Until when the session lives as things stand now, 0 when it has ended."""
        with self._store.transaction() as db:
            row = self._read(db, claims.sid or claims.jti)
        if row is None or row.ended:
            return 0.0
        return float(row.current_exp)

    def end(self, claims: Claims, now_s: float) -> str:
        """End a verified token's session (logout); its id. Raises `SessionError`."""
        with self._store.transaction() as db:
            row = self._find(db, claims, now_s)
            db.execute("UPDATE sessions SET ended = 1 WHERE sid = ?", (row.sid,))
        return row.sid

    # Inside

    def _start(self, party: Party, now_s: float) -> Issued:
        ends_s = now_s + self.issuer.config.userauth.session_lifetime
        claims = self.issuer.claims(party, secrets.token_urlsafe(16), now_s, ends_s)
        with self._store.transaction() as db:
            db.execute("DELETE FROM sessions WHERE latest_exp <= ?", (now_s,))
            self._insert(db, claims, ends_s)
        return self.issuer.issue(claims)

    def _insert(self, db: sqlite3.Connection, claims: Claims, ends_s: float | None) -> None:
        sid = claims.sid or claims.jti
        db.execute(
            "INSERT INTO sessions (sid, jid, role, ends_s, current_jti, current_iat, current_exp, "
            "latest_exp, current_used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (sid, claims.sub, claims.role, ends_s, *_times(claims), claims.exp),
        )

    def _find(self, db: sqlite3.Connection, claims: Claims, now_s: float) -> _Row:
        """The living session of a token; a device's token that none knows begins one."""
        sid = claims.sid or claims.jti
        row = self._read(db, sid)
        if row is None and claims.role != "user":
            # A row is only ever dropped when its last token has expired, so this one is new here.
            self._insert(db, claims, None)
            row = self._read(db, sid)
        if row is None or row.ended or (row.jid, row.role) != (claims.sub, claims.role):
            raise SessionError("the session is over")
        if row.ends_s is not None and row.ends_s <= now_s:
            raise SessionError("the session has reached its lifetime")
        return row

    def _read(self, db: sqlite3.Connection, sid: str) -> _Row | None:
        row = db.execute(
            "SELECT sid, jid, role, ends_s, current_jti, current_iat, current_exp, current_used, "
            "previous_jti, rotated_s, ended FROM sessions WHERE sid = ?",
            (sid,),
        ).fetchone()
        return None if row is None else msgspec.convert(row, _Row, strict=False)

    def _admitted(self, claims: Claims) -> Party:
        party = Party(claims.jid, claims.role)
        if not self.issuer.access.admits(party):
            raise SessionError("this name has no access any more")
        return party


def _times(claims: Claims) -> tuple[str, int, int]:
    return claims.jti, claims.iat, claims.exp


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
