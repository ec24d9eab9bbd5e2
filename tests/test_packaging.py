"""What the Debian package is made of: units and sandboxes, samples, the list of what it bundles.

The packages themselves are built by `make deb`, installed and run by `make deb-test`.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.site import Site
from ucam.base.config import Section, load
from ucam.capture.config import CaptureConfig
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig

ROOT = Path(__file__).parent.parent
PACKAGING = ROOT / "packaging"
PARTS: dict[str, type[Section]] = {
    "web": WebConfig,
    "storage": StorageConfig,
    "capture": CaptureConfig,
}
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
sys.path.insert(0, str(ROOT / "tools"))
import deb_bundle  # noqa: E402


def unit(part: str) -> str:
    return (PACKAGING / "systemd" / f"ucam-{part}.service").read_text()


@pytest.mark.parametrize("part", PARTS)
def test_systemd_understands_each_unit(part: str, tmp_path: Path) -> None:
    # The command isn't installed here: any that is serves.
    (tmp_path / f"ucam-{part}.service").write_text(
        unit(part).replace("ExecStart=/usr/bin/ucam", "ExecStart=/bin/true")
    )
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / f"ucam-{part}.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert f"ucam-{part}" not in told.stderr


@pytest.mark.parametrize("part", PARTS)
def test_each_sandbox_is_tight(part: str) -> None:
    path = PACKAGING / "systemd" / f"ucam-{part}.service"
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    level = re.search(r"exposure level for .*: ([0-9.]+)", told.stdout)
    assert level is not None
    assert float(level[1]) <= 2


@pytest.mark.parametrize("part", PARTS)
def test_each_unit_is_watched_and_runs_as_its_own_user(part: str) -> None:
    lines = unit(part).splitlines()
    for line in (
        "Type=notify",
        "Restart=always",
        f"User=ucam-{part}",
        f"StateDirectory=ucam/{part}",
    ):
        assert line in lines
    assert f"ExecStart=/usr/bin/ucam {part} --config /etc/ucam/{part}.toml" in lines
    assert f"AssertPathExists=/etc/ucam/{part}.toml" in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
    assert f"u ucam-{part} " in (PACKAGING / "systemd" / "ucam.sysusers").read_text()
    assert f"/var/lib/ucam/{part} " in (PACKAGING / "systemd" / "ucam.tmpfiles").read_text()


@pytest.mark.parametrize("part", PARTS)
def test_a_filled_in_sample_writes_where_its_unit_may(part: str) -> None:
    """The package installs config/PART.toml as /etc/ucam/PART.toml.sample."""
    sample = ROOT / "config" / f"{part}.toml"
    load(sample, PARTS[part])
    written = re.findall(r'^(?:token-file|data-dir|path) = "([^"]+)"', sample.read_text(), re.M)
    assert written
    assert all(path.startswith(f"/var/lib/ucam/{part}") for path in written)


def test_every_pinned_package_is_bundled_or_debians_or_left_out_on_purpose() -> None:
    pinned = set(deb_bundle.pinned())
    text = (ROOT / "requirements" / "run.txt").read_text()
    assert pinned == {name.lower() for name in re.findall(r"^([\w.-]+)==", text, re.M)}
    assert pinned >= deb_bundle.NOT_NEEDED
    for target in deb_bundle.TARGETS:
        assert pinned >= set(deb_bundle.FROM_DEBIAN[target.release])
        there = deb_bundle.bundled(target)
        assert there >= {"msgspec", "joserfc", "cryptography", "litestar", "av", "aiortc"}
        assert not there & set(deb_bundle.FROM_DEBIAN[target.release])


def test_ucam_needs_nothing_that_the_package_leaves_out() -> None:
    """The services are imported with those packages barred."""
    code = f"""
import importlib, sys
for name in {[name.replace("-", "_") for name in deb_bundle.UNUSED_BY_LITESTAR]}:
    sys.modules[name] = None
sys.path.insert(0, {str(ROOT / "src")!r})
for name in ("web.service", "storage.service", "storage.playback.peers", "capture.config"):
    importlib.import_module("ucam." + name)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_the_units_of_the_package_are_in_its_recipe() -> None:
    rules = (PACKAGING / "debian" / "rules").read_text()
    for path in (PACKAGING / "systemd").iterdir():
        name = (
            "systemd/ucam-$$part.service" if path.suffix == ".service" else f"systemd/{path.name}"
        )
        assert name in rules
    assert "--no-enable --no-start" in rules
    assert "config/$$part.toml debian/ucam/etc/ucam/$$part.toml.sample" in rules


@pytest.mark.parametrize("name", SCRIPTS)
def test_maintainer_scripts_parse(name: str) -> None:
    subprocess.run(["sh", "-n", PACKAGING / "debian" / name], check=True)


def test_the_lamps_rule_opens_the_files_that_are_there(tmp_path: Path) -> None:
    """What udev would run, on a folder like the kernel's; `$$` and `%p` are udev's."""
    rules = (PACKAGING / "systemd" / "60-ucam.rules").read_text()
    match = re.search(r"RUN\+=\"/bin/sh -c '([^']+)'\"", rules)
    assert match is not None
    for name in ("brightness", "trigger", "max_brightness"):
        (tmp_path / name).touch(0o644)
    group = tmp_path.stat().st_gid
    script = match[1].replace("$$", "$").replace("/sys%p", str(tmp_path))
    subprocess.run(["sh", "-ec", script.replace("ucam-capture", str(group))], check=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"brightness": 0o664, "trigger": 0o664, "max_brightness": 0o644}


def test_a_containers_health_is_asked_where_it_listens(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("health", PACKAGING / "health.py")
    assert spec is not None
    assert spec.loader is not None
    health = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(health)
    words = b"/sbin/init\0--\0/opt/ucam/bin/ucam\0storage\0--config\0/etc/ucam/storage.toml\0"
    assert health.command(words) == ("storage", Path("/etc/ucam/storage.toml"))
    site = Site(tmp_path, {})
    with site.running():
        assert health.answers("web", tmp_path / "web.toml")
        assert health.answers("storage", tmp_path / "storage.toml")
    with pytest.raises(ConnectionRefusedError):
        health.answers("web", tmp_path / "web.toml")
