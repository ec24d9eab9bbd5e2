"""Which hosts are so near that plain text may go there."""

from ipaddress import ip_address

_NEAR = (".local", ".lan", ".home.arpa", ".internal")


def is_near(host: str) -> bool:
    """Whether a name or an address is of this machine or of a network of one's own (RFC 1918,
    RFC 4193, RFC 6762, RFC 8375); a name without a dot is."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_NEAR)
