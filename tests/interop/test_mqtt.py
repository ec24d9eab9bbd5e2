"""`[mqtt]` with Mosquitto: what its own subscriber hears while a device comes, changes and goes."""

import asyncio
import gc
import json
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.smtp import make_certificate
from ucam.protocol.messages import Status
from web.helpers import TILL, TOML, YARD, Running, free_port, running

pytestmark = pytest.mark.interop
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PASSWORD = "of-the-broker"
STATE = f"ucam/{TILL}/state"


class Broker:
    """Mosquitto with a password and TLS, and all that is retained on it."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.folder, self.certificate = folder, certificate
        self.port = 0
        self.heard: dict[str, bytes] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        if not self.port:
            self.port = free_port()
        passwords, config = self.folder / "passwords", self.folder / "mosquitto.conf"
        passwords.write_text(f"ucam:{PASSWORD}\n")
        passwords.chmod(0o600)
        await (
            await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", str(passwords))
        ).wait()
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\nuser root\n"
            f"password_file {passwords}\ncertfile {self.certificate}\nkeyfile {self.certificate}\n"
        )
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(config), stdout=log, stderr=log
        )
        log.close()
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                except OSError:
                    await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()
            self._process = None

    async def listen(self) -> None:
        """mosquitto_sub, for ever: the last payload of each topic; an empty one ends it."""
        subscriber = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "#"),
            *("-u", "ucam", "-P", PASSWORD, "--cafile", str(self.certificate), "-F", "%j"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert subscriber.stdout is not None
        try:
            while line := await subscriber.stdout.readline():
                message = json.loads(line)
                self.heard[message["topic"]] = str(message.get("payload") or "").encode()
        finally:
            if subscriber.returncode is None:
                subscriber.kill()
            await subscriber.wait()

    async def until(self, what: str, condition: Callable[[dict[str, bytes]], object]) -> None:
        try:
            async with asyncio.timeout(60):
                while not condition(self.heard):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never heard: {what}; heard {self.heard}") from None

    def state(self, topic: str = STATE) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.heard.get(topic) or b"{}")
        return found


@pytest.fixture
async def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    certificate = make_certificate(tmp_path / "cert.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = Broker(tmp_path, certificate)
    await found.start()
    yield found
    await found.stop()


@asynccontextmanager
async def web_with(broker: Broker, folder: Path) -> AsyncIterator[Running]:
    (folder / "mqtt-password").write_text(PASSWORD)
    section = f"""[mqtt]
url = "mqtts://ucam@127.0.0.1:{broker.port}"
password-file = "mqtt-password"
[locations.home]"""
    async with running(folder, TOML.replace("[locations.home]", section)) as web:
        yield web


async def test_a_camera_comes_and_goes(broker: Broker, tmp_path: Path) -> None:
    listening = asyncio.ensure_future(broker.listen())
    config = "homeassistant/binary_sensor/ucam_till_40_shop_2e_loc/recording/config"
    try:
        async with web_with(broker, tmp_path) as web:
            await broker.until("all devices", lambda heard: STATE in heard and config in heard)
            assert broker.heard["ucam/status"] == b"online"
            assert broker.state()["online"] is False
            async with web.room(web.device_token(TILL), "name=The%20till") as camera:
                fields = {"recording": "stored", "storage": "connected", "temperature": 51.04}
                await camera.say(Status(fields=fields))
                await broker.until("it records", lambda _: broker.state().get("recording"))
                state = broker.state()
                assert (state["online"], state["temperature"]) == (True, 51.0)
                topic = config.replace("binary_sensor", "sensor").replace(
                    "recording", "temperature"
                )
                await broker.until("its temperature appears", lambda heard: heard.get(topic))
                assert json.loads(broker.heard[topic])["state_topic"] == STATE
            await broker.until("it is away", lambda _: broker.state()["online"] is False)
            # Taken out of the configuration, it goes from Home Assistant, too.
            text = web.config_path.read_text()
            web.config_path.write_text(text.replace(f'devices = ["{TILL}"]', "devices = []"))
            web.stop.reload()
            await broker.until("it is forgotten", lambda heard: heard[config] == b"")
            assert broker.heard[STATE] == b""
            assert broker.heard[f"ucam/{YARD}/state"]
        await broker.until("goodbye", lambda heard: heard["ucam/status"] == b"offline")
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_broker_that_is_away_costs_nothing_else(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await broker.stop()
    async with web_with(broker, tmp_path) as web:
        await web.log_in("ann@example.com")
        await broker.start()  # and nothing is retained on it any more
        listening = asyncio.ensure_future(broker.listen())
        try:
            await broker.until("all is there", lambda heard: STATE in heard)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    assert PASSWORD not in caplog.text


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
async def test_a_broker_with_another_certificate_gets_no_password(
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", broker.port, ssl=ssl.create_default_context())
    async with web_with(broker, tmp_path):
        async with asyncio.timeout(60):
            while "certificate verify failed" not in caplog.text:
                await asyncio.sleep(0.05)
    gc.collect()
    assert b"ucam" not in (tmp_path / "mosquitto.log").read_bytes().partition(b"Opening")[2]
