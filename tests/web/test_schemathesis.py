"""schemathesis asks the running server whatever its own OpenAPI document allows, and what it
doesn't: no answer is a 5xx, and each is of the shape that the document says.

`UCAM_FUZZ_S` says for how long (`make fuzz`).
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from web.helpers import ANN, Running

pytestmark = pytest.mark.fuzz

SECONDS = int(os.environ.get("UCAM_FUZZ_S", "12"))
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance"


async def schemathesis(web: Running, folder: Path, *options: str) -> str:
    """Run it against the server; what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{web.url}/schema/openapi.json"),
        *("--checks", CHECKS, "--max-time", str(SECONDS), "--workers", "1", "--seed", "1"),
        *("--phases", "examples,coverage,fuzzing", "--mode", "all", "--no-color"),
        *("--generation-database", "none", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    out, _ = await process.communicate()
    text = out.decode()
    assert process.returncode == 0, text
    return text


async def test_with_a_token(web: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = await web.log_in(ANN)
    # Not to log itself out half-way, nor to use up its token.
    bearer = ("--header", f"Authorization: Bearer {token}", "--exclude-path", "/auth")
    told = await schemathesis(web, tmp_path, *bearer)
    print(told[-2000:])
    assert "failed" not in [r.getMessage() for r in caplog.records]
    # It is still who it was, and the server still serves.
    assert (await web.recycle(token)).status_code == 200


async def test_without_a_token(web: Running, tmp_path: Path) -> None:
    print((await schemathesis(web, tmp_path))[-2000:])
    await web.log_in(ANN)
