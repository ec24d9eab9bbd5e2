"""How often the faults happen: a few times by default, many by `make faults`."""

import os


def count(name: str, default: int) -> int:
    """How often: `UCAM_FAULTS_<NAME>` in the environment, else the default."""
    return int(os.environ.get(f"UCAM_FAULTS_{name}", default))
