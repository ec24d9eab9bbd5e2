"""Who asks, as far as an address and a browser's own words tell. No I/O."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

MAX_AGENT_CHARACTERS = 60

# The first that matches is it: each names itself and some that it wants to be taken for.
_BROWSERS = (
    ("Edg(?:e|A|iOS)?/", "Edge"),
    ("OPR/|Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/|FxiOS/", "Firefox"),
    ("Chrome/|CriOS/|Chromium/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh|Mac OS X", "Mac"),
    ("Linux|X11", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from: its network, and what program it says that it is."""

    network: str = ""
    agent: str = ""


def client(address: str | None, agent: str) -> Client:
    """Read a peer's address (None: a socket without one) and its User-Agent header."""
    return Client(network_of(address or ""), summary(agent))


def network_of(address: str) -> str:
    """The /24 or /64 that an address belongs to: what one household or office has, so limits count
    it as one. An IPv4 address in IPv6 clothes counts as what it is."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def summary(agent: str) -> str:
    """A User-Agent header in words that its owner recognises: "Firefox on Android"."""
    agent = agent[:512]
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, agent)), None)
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    if browser or system:
        return browser or system or ""
    first = agent.split("/")[0].split(" ")[0]
    return "".join(c for c in first if c.isprintable())[:MAX_AGENT_CHARACTERS]
