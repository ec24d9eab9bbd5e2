"""How long and how often is measured: the environment may ask for less than usual."""

import os


def number(name: str, default: int) -> int:
    """`UCAM_BENCH_<NAME>` in the environment, else the default."""
    return int(os.environ.get(f"UCAM_BENCH_{name}", default))
