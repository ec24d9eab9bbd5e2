"""Which hosts are so near that plain text may go there."""

from ipaddress import ip_address, ip_network

# Names that the Internet's own servers never answer for: RFC 6761, RFC 6762 (and its appendix G),
# RFC 8375, ICANN's .internal, and .loc, which nobody was ever given.
_NEAR = (
    *(".local", ".home.arpa", ".internal", ".localhost", ".test", ".example", ".invalid", ".loc"),
    *(".intranet", ".private", ".corp", ".home", ".lan"),
)
# RFC 6598: what private networks over the Internet (Tailscale) number their machines by.
_SHARED = ip_network("100.64.0.0/10")


def is_near(host: str) -> bool:
    """Whether a name or an address is of this machine or of a network of one's own (RFC 1918,
    RFC 4193, RFC 6598) or has a name that the Internet doesn't know; one without a dot is."""
    try:
        address = ip_address(host)
        return address.is_private or address in _SHARED
    except ValueError:
        return "." not in host or host.endswith(_NEAR)
