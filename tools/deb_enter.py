"""Run a command inside a Debian root, in namespaces of its own: `python tools/deb_enter.py --help`.

A root of another architecture runs by qemu-user: its binary format is registered in a user
namespace (Linux 6.7 and later keep that apart), so nothing of this machine changes. `--boot` starts
the root's systemd as process 1 instead of a command. As root.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

# Of <sched.h> and <sys/mount.h>.
NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC = 1, 2, 4, 32, 4096, 16384
PRIVATE, SHARED = 1 << 18, 1 << 20
# ELF headers, as binfmt_misc wants them: class, byte order and machine (EM_ARM, EM_AARCH64).
_ELF = r"\x7fELF{bits}\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{machine}\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
EMULATORS = {
    "armhf": ("/usr/bin/qemu-arm-static", r"\x01", r"\x28"),
    "arm64": ("/usr/bin/qemu-aarch64-static", r"\x02", r"\xb7"),
}
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Into new namespaces (unshare(2))."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    texts = [text.encode() if text else None for text in (source, str(target), kind)]
    _checked(
        _libc.mount(*texts, ctypes.c_ulong(flags), options.encode() if options else None),
        f"mount {source} on {target}",
    )


def register_emulator(arch: str) -> None:
    """Let this user namespace run another architecture's programs; `F` opens qemu right now."""
    folder = Path("/proc/sys/fs/binfmt_misc")
    mount("none", folder, "binfmt_misc")
    program, bits, machine = EMULATORS[arch]
    magic = _ELF.format(bits=bits, machine=machine)
    (folder / "register").write_text(f":qemu-{arch}:M::{magic}:{_MASK}:{program}:F\n")


def prepare(root: Path, *, foreign: bool, boot: bool) -> None:
    """What a root needs to run, beside its files."""
    mount("none", Path("/"), "", PRIVATE | REC)
    mount(str(root), root, "", BIND | REC)
    mount("proc", root / "proc", "proc")
    if not foreign:
        mount("sysfs", root / "sys", "sysfs", 0 if boot else RDONLY)
    mount("tmpfs", root / "dev" / "shm", "tmpfs", NOSUID | NODEV, "mode=1777")
    mount("devpts", root / "dev" / "pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", root / "run", "tmpfs", NOSUID | NODEV, "mode=755")
    if boot:
        mount("cgroup2", root / "sys" / "fs" / "cgroup", "cgroup2")
        settings = root / "proc" / "sys"
        mount(str(settings), settings, "", BIND)
        mount(str(settings), settings, "", BIND | REMOUNT | RDONLY)


def change_root(root: Path, *, boot: bool) -> None:
    """Into `root`; systemd's own namespaces want a real root, which is shared."""
    os.chdir(root)
    if boot:
        _checked(_libc.syscall(155, b".", b"."), "pivot_root")  # x86-64's number
        _checked(_libc.umount2(b".", 2), "umount")
        mount("none", Path("/"), "", SHARED | REC)
    else:
        os.chroot(".")
    os.chdir("/")


def run(root: Path, command: list[str], *, arch: str, boot: bool, alone: bool) -> int:
    """The command's exit status. `alone`: without the network (but loopback)."""
    foreign = arch in EMULATORS
    flags = NEWNS | NEWPID | NEWIPC | NEWUTS
    flags |= NEWUSER if foreign else 0
    flags |= NEWNET if alone else 0
    flags |= NEWCGROUP if boot else 0
    told, tell = os.pipe()
    go, start = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(start)
        unshare(flags)
        os.write(tell, b"x")
        os.read(go, 1)
        inner = os.fork()  # process 1 of the new PID namespace
        if inner == 0:
            _become(root, command, arch=arch, boot=boot, alone=alone)
        _pass_signals(inner)
        os._exit(_status(inner))
    os.read(told, 1)
    if foreign:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{middle}/{name}").write_text("0 0 65536\n")
    os.close(start)
    _pass_signals(middle)
    return _status(middle)


def _become(root: Path, command: list[str], *, arch: str, boot: bool, alone: bool) -> None:
    try:
        # With the middle process, everything ends.
        _checked(_libc.prctl(1, signal.SIGKILL), "prctl")
        mount("none", Path("/"), "", PRIVATE | REC)
        mount("proc", Path("/proc"), "proc")
        if arch in EMULATORS:
            register_emulator(arch)
        prepare(root, foreign=arch in EMULATORS, boot=boot)
        change_root(root, boot=boot)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        if boot:
            environment["container"] = "ucam"
        if alone:
            os.spawnvpe(os.P_WAIT, "ip", ["ip", "link", "set", "lo", "up"], environment)
        os.execvpe(command[0], command, environment)
    except OSError as error:
        print(f"{root}: {error}", file=sys.stderr, flush=True)
    os._exit(125)


def _pass_signals(pid: int) -> None:
    def forward(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)


def _status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256


def main() -> int:
    """Parse and run; returns the command's exit status."""
    parser = argparse.ArgumentParser(description="run a command inside a Debian root")
    parser.add_argument("--arch", default="amd64", choices=["amd64", *EMULATORS])
    parser.add_argument("--boot", action="store_true", help="systemd as process 1")
    parser.add_argument("--alone", action="store_true", help="without network but loopback")
    parser.add_argument("root", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = ["/sbin/init"] if args.boot else args.command
    return run(args.root.resolve(), command, arch=args.arch, boot=args.boot, alone=args.alone)


if __name__ == "__main__":
    sys.exit(main())
