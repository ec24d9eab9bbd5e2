"""How often the faults happen: a few times by default, many by `make faults`."""

import os

import pytest


def count(name: str, default: int) -> int:
    """How often: `UCAM_FAULTS_<NAME>` in the environment, else the default."""
    return int(os.environ.get(f"UCAM_FAULTS_{name}", default))


# What waits for a minute to show something: with UCAM_FAULTS_LONG=1, as `make faults` says.
long = pytest.mark.skipif(not count("LONG", 0), reason="takes its time: make faults")
