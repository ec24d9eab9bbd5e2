"""Imports go one way, four floors; the cores do no I/O; `gi` stays in its modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "ucam"
# What each package may import of ucam, itself apart.
ALLOWED = {
    "base": set(),
    "media": set(),
    "rtsp": set(),
    "rtp": {"media"},
    "protocol": {"base"},
    "device": {"base", "protocol"},
    "capture": {"base", "media", "rtp", "rtsp", "protocol", "device"},
    "storage": {"base", "media", "rtp", "rtsp", "protocol", "device"},
    "web": {"base", "protocol"},
    "demo": {"base"},
    "cli": {"base", "capture", "storage", "web", "demo", "device", "protocol"},
}
NO_IO = ["media", "rtp", "rtsp", "protocol"] + [
    *("web/room.py", "web/access.py", "web/carry.py", "web/members.py", "web/limits.py"),
    *("storage/cutter.py", "storage/rotation.py", "capture/clock.py"),
    *("capture/spool/units.py", "capture/spool/memory.py", "capture/spool/record.py"),
    "base/backoff.py",
]
# Modules that only a program that touches the world needs.
IO_MODULES = {"asyncio", "socket", "ssl", "threading", "subprocess", "selectors", "time"}
CLOCK_CALLS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
GI_MODULES = ("capture/pipeline", "capture/call", "capture/gst")


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every imported module's full name, its line, and whether it stands at the module's top."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the full name"
            assert node.module is not None
            yield node.module, node.lineno, id(node) in top
            if node.module == "ucam":
                for alias in node.names:
                    yield f"ucam.{alias.name}", node.lineno, id(node) in top


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(SOURCE).parts[0]
    for name, line, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "ucam" or len(parts) < 2 or parts[1] == package:
            continue
        if parts[1] in ("__version__",):
            continue
        assert parts[1] in ALLOWED.get(package, set()), f"{path}:{line}: {package} → {parts[1]}"


@pytest.mark.parametrize("core", NO_IO)
def test_cores_do_no_io_and_read_no_clock(core: str) -> None:
    root = SOURCE / core
    files = [root] if root.suffix else sorted(root.rglob("*.py"))
    assert files
    for path in files:
        for name, line, _ in imports(path):
            assert name.split(".")[0] not in IO_MODULES, f"{path}:{line}: imports {name}"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                function = node.func
                called = function.attr if isinstance(function, ast.Attribute) else None
                assert called not in CLOCK_CALLS, f"{path}:{node.lineno}: reads a clock"
                assert not (isinstance(function, ast.Name) and function.id == "open"), (
                    f"{path}:{node.lineno}: opens a file"
                )


def test_gi_is_imported_by_the_pipelines_alone() -> None:
    for path in modules():
        where = str(path.relative_to(SOURCE))
        if any(name == "gi" or name.startswith("gi.") for name, _, _ in imports(path)):
            assert where.startswith(GI_MODULES), f"{where} imports gi"


def test_the_command_imports_a_service_only_when_asked_for() -> None:
    services = ("ucam.web", "ucam.storage", "ucam.capture", "ucam.demo")
    for path in (SOURCE / "cli" / "__init__.py", SOURCE / "cli" / "service.py"):
        for name, line, _ in imports(path):
            assert not name.startswith(services), f"{path}:{line}: imports {name}"


def test_the_walk_finds_what_is_forbidden(tmp_path: Path) -> None:
    module = tmp_path / "bad.py"
    module.write_text("def f():\n    from ucam.web import app\n")
    assert [name for name, _, _ in imports(module)] == ["ucam.web"]
