"""`python -m bench [NAME…]`: run all benchmarks, or those named."""

import sys

from bench import capture, catchup, channel, index, ingest, live, page, play, room

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


def main() -> int:
    """Run and print; returns the exit status."""
    names = sys.argv[1:] or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        print(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(ALL)})")
        return 2
    for name in names:
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
