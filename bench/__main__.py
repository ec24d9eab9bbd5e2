"""`python -m bench [NAME…]`: run all benchmarks, or those named.

`ingest-alone` is `ingest` without the other servers.
"""

import sys

from bench import capture, catchup, channel, index, ingest, live, load, page, play, room

ALL = {
    "ingest": ingest.main,
    "catchup": catchup.main,
    "play": play.main,
    "live": live.main,
    "capture": capture.main,
    "index": index.main,
    "room": room.main,
    "page": page.main,
    "channel": channel.main,
}
# Only when it is asked for.
LONG = {"load": load.main}


def main() -> int:
    """Run and print; returns the exit status."""
    names = sys.argv[1:] or list(ALL)
    known = {**ALL, **LONG, "ingest-alone": ingest.alone}
    if unknown := [name for name in names if name not in known]:
        print(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(known)})")
        return 2
    for name in names:
        known[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
