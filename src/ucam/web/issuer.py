"""What tokens say: claims by configuration, signed with the current key."""

import secrets

import msgspec

from ucam.base.jid import JID
from ucam.base.tokens import AUDIENCE, Claims, Role
from ucam.web.access import Access, Party
from ucam.web.config import WebConfig, check_validity
from ucam.web.keys import KeyStore


class Issued(msgspec.Struct, frozen=True):
    """A token for its owner."""

    token: str
    claims: Claims


class Issuer:
    """Makes tokens under one configuration."""

    def __init__(self, keys: KeyStore, config: WebConfig) -> None:
        self._keys = keys
        self.config = config
        self.access = Access.of(config)

    def claims(self, party: Party, sid: str | None, now_s: float, ends_s: float | None) -> Claims:
        """A new token's claims: as long as the configuration says, at most until `ends_s`."""
        auth = self.config.userauth if party.role == "user" else self.config.deviceauth
        exp_s = now_s + auth.token_validity
        return Claims(
            iss=str(self.config.http.public_url),
            aud=AUDIENCE,
            sub=str(party.jid),
            role=party.role,
            loc=self.access.locations_of(party),
            # No "-" at its beginning: `ucam tokens --revoke ID` would take it for an option.
            jti=secrets.token_hex(16),
            iat=int(now_s),
            exp=int(exp_s if ends_s is None else min(exp_s, ends_s)),
            sid=sid,
        )

    def issue(self, claims: Claims) -> Issued:
        """The token of these claims."""
        return Issued(self._keys.sign(claims), claims)

    def first_token(
        self, jid: JID, role: Role, now_s: float, validity_s: float | None = None
    ) -> Issued:
        """A token that an operator hands out, to a device or a player.

        A device's session begins when the token is first seen. Raises `WrongValueError`.
        """
        claims = self.claims(Party(jid, role), None, now_s, None)
        if validity_s is not None:
            check_validity("valid", validity_s)
            claims = msgspec.structs.replace(claims, exp=int(now_s + validity_s))
        return self.issue(claims)
