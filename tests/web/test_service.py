import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.base.service import Fault, Stop
from ucam.web.members import Known
from ucam.web.service import Web, serve
from ucam.web.state import StateAway
from ucam.web.state_sqlite import SqliteState
from web.helpers import ANN, TOML, YARD, Running, load_config, running


async def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Fault, match=f"can't listen on 127.0.0.1:{port}"):
            await serve(load_config(tmp_path, port=port), Stop())


async def test_what_a_person_can_mend_is_told(tmp_path: Path) -> None:
    ice = '[ice]\nturn = ["turn:t"]\nturn-secret-file = "none"\n[smtp]'
    config = load_config(tmp_path, text=TOML.replace("[smtp]", ice))
    with pytest.raises(Fault, match="none can't be read"):
        await serve(config, Stop())


def test_a_sender_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"web.toml:9: smtp\.from"):
        load_config(tmp_path, text=TOML.replace("ucam <cams@example.com>", "ucam <@>"))


async def test_it_tells_where_it_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = TOML.replace('listen = "127.0.0.1:{port}"', 'listen = "127.0.0.1:0"')
    stop = Stop()
    task = asyncio.ensure_future(serve(load_config(tmp_path, text=text), stop))
    async with asyncio.timeout(10):
        while "listening on http://127.0.0.1:" not in caplog.text:
            await asyncio.sleep(0.01)
        assert "127.0.0.1:0" not in caplog.text
        stop.set()
        await task


async def test_a_reload_changes_what_can_be_changed(
    web: Running, caplog: pytest.LogCaptureFixture
) -> None:
    text = web.config_path.read_text()
    changed = text.replace('"ann@example.com"]\n', '"ann@example.com", "cem@example.com"]\n', 1)
    changed = text.replace('= ["ann@example.com", ', '= ["cem@example.com", "ann@example.com", ')
    changed = changed.replace('data-dir = "data"', 'data-dir = "elsewhere"')
    web.config_path.write_text(changed)
    web.stop.reload()
    await web.log_in("cem@example.com")
    assert "[http] has changed: that needs a restart" in caplog.text
    # What can't be used leaves everything as it was, also what stands before the fault.
    broken = changed.replace('"cem@example.com", ', "") + '[ice]\nturn-secret-file = "none"\n'
    web.config_path.write_text(broken)
    web.stop.reload()
    assert "the old configuration stays in force" in caplog.text
    await web.log_in("cem@example.com")


async def test_sessions_and_keys_survive_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as web:
        token = await web.log_in(ANN)
        keys = (await web.http.get("/.well-known/jwks.json")).content
        port = int(web.url.rpartition(":")[2])
    text = TOML.replace("{port}", str(port), 2).replace(
        f'listen = "127.0.0.1:{port}"', 'listen = "127.0.0.1:{port}"', 1
    )
    text = TOML.replace('public-url = "http://127.0.0.1:{port}"', f'public-url = "{web.url}"')
    async with running(tmp_path, text) as again:
        assert (await again.http.get("/.well-known/jwks.json")).content == keys
        assert (await again.recycle(token)).status_code == 200


async def test_a_database_that_cannot_be_written_does_not_end_the_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(SqliteState):
        async def change(self, *_arguments: object) -> Any:
            raise StateAway("disk full")

    config = load_config(tmp_path)
    state = Full(config.http.data_dir)
    await Web(config, state, {JID.parse(YARD): Known("Yard", 1)}, 0).remember()
    assert "names and times of devices not kept: disk full" in caplog.text
    await state.close()
