"""Debian's Prometheus scrapes the three services by the sample configuration, and answers every
query of the Grafana dashboard."""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.site import PERSON, Site, free_port, wait_until
from ucam.capture import metrics
from ucam.capture.status import State

pytestmark = pytest.mark.interop
SAMPLES = Path(__file__).parent.parent.parent / "config" / "monitoring"
DASHBOARD = json.loads((SAMPLES / "grafana-dashboard.json").read_text())
VIDEO = 'source = "test"\nwidth = 160\nheight = 96\nframerate = 5\nbitrate = "50kbit/s"'
# Only hardware tells these, and days-left only a storage that fills.
NOT_HERE = re.compile(r"temperature_celsius|under_voltages|days_left")
# Nothing was sent by these here: declared, without a value.
NONE_YET = re.compile(r"ucam_web_webhooks_total")
JOBS = {"ucam-web", "ucam-storage", "ucam-capture"}


def queries() -> list[str]:
    return [t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", ())]


def get(url: str, token: str = "") -> str:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


class Prometheus:
    """The real thing, with the sample configuration on this test's addresses."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.folder = folder
        text = (SAMPLES / "prometheus.yml").read_text()
        for written, here in addresses.items():
            assert written in text
            text = text.replace(written, here)
        (folder / "prometheus.yml").write_text(f"global: {{ scrape_interval: 500ms }}\n{text}")

    def ask(self, query: str) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"query": query})
        answer = json.loads(get(f"{self.url}/api/v1/query?{asked}"))
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def scraped(self) -> set[str]:
        with contextlib.suppress(OSError):
            return {one["metric"]["job"] for one in self.ask("up == 1")}
        return set()

    @contextlib.contextmanager
    def running(self) -> Iterator["Prometheus"]:
        with (self.folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self.folder}/prometheus.yml",
                    f"--storage.tsdb.path={self.folder}/tsdb",
                    f"--web.listen-address={self.url.partition('//')[2]}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            yield self
        finally:
            process.terminate()
            process.wait(30)


def test_scraped_and_every_panel_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    site = Site(tmp_path, {"cam1": VIDEO}, maxspace="200MB", chunk_size="2s")
    web, storage, camera = site.web_port, free_port(), free_port()
    with (tmp_path / "storage.toml").open("a") as file:
        file.write(f'[http]\nlisten = "127.0.0.1:{storage}"\n')
    site.cameras["cam1"].env["UCAM_METRICS"] = f"127.0.0.1:{camera}"
    with site.running():
        token = tmp_path / "player"
        token.write_text(site.token(PERSON, "--play", "--valid", "365d"))
        prometheus = Prometheus(
            tmp_path,
            {
                "127.0.0.1:7070": f"127.0.0.1:{web}",
                "storage.local:8443": f"127.0.0.1:{storage}",
                "cam001.local:9322": f"127.0.0.1:{camera}",
                "/etc/prometheus/ucam-token": str(token),
                "/etc/prometheus/ucam-storage.pem": str(tmp_path / "storage" / "rtsps-cert.pem"),
            },
        )
        with prometheus.running():
            wait_until("all three are scraped", lambda: prometheus.scraped() == JOBS, 60)
            # A mail, answers, an entry of the audit log.
            site.post("/auth", {"token": site.login_link().partition("#t=")[2]})
            for query in queries():
                if not NOT_HERE.search(query) and not NONE_YET.search(query):
                    wait_until(query, partial(prometheus.ask, query), 60)
            declared = names(get(f"http://127.0.0.1:{web}/metrics"))
            for query in filter(NONE_YET.search, queries()):
                assert metrics_of(query) <= declared
            for query in queries():
                prometheus.ask(query)


def metrics_of(query: str) -> set[str]:
    return set(re.findall(r"\bucam_\w+", query))


def names(text: str) -> set[str]:
    """Every name under which Prometheus finds samples of this text."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found.add(name)
        if kind == "histogram":
            found |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return found


def test_what_only_hardware_tells_is_told_by_these_names() -> None:
    state = State(
        frames_advance=True,
        camera_fault=None,
        newest_us=1,
        storage_connected=True,
        storage_fault=None,
        durable_us=1,
        spool_bytes=0,
        spool_s=0,
        lost_s=0,
        viewers=(),
        clock_offset_s=0,
        encoder="x",
        source="x",
        temperature_c=50,
    )
    told = names(metrics.text(state, {"under_voltages": 1}).decode())
    hardware = {m for q in queries() for m in metrics_of(q) if m.startswith("ucam_capture")}
    assert {m for m in hardware if NOT_HERE.search(m)} <= told


def test_the_dashboard_is_one() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not places & cells, f"{panel['title']} lies on another panel"
        places |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    assert [v["name"] for v in DASHBOARD["templating"]["list"]] == ["datasource"]
