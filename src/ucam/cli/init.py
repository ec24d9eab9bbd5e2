"""`ucam init`: five questions (or flags), and a web.toml and a storage.toml that work."""

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ucam.base.service import Fault
from ucam.base.units import Size, WebUrl
from ucam.cli import answers, units
from ucam.cli.answers import Answers
from ucam.cli.written import Places

HELP = "asks five questions and writes a web.toml and a storage.toml that work"
_DESCRIPTION = """\
Asks for what no flag gives; with --yes it takes what it would suggest. Nothing is overwritten.
web and storage may run on one machine, or each on its own: then use --web-only on the web machine,
and set the storage up with `ucam invite` and `ucam enroll`."""
T = TypeVar("T")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("--email", metavar="ADDRESS", help="yours: you log in with it")
    mail = parser.add_mutually_exclusive_group()
    mail.add_argument("--smtp", metavar="URL", help="smtp+starttls://USER@HOST:587 and the like")
    mail.add_argument("--outbox", action="store_true", help="no mail server: mails become files")
    parser.add_argument("--smtp-password-file", type=Path, metavar="FILE", help="that user's")
    parser.add_argument("--public-url", metavar="URL", help="what people type: https://…")
    parser.add_argument("--location", metavar="NAME", help="what the place is called")
    parser.add_argument("--cameras", metavar="N", help="how many it has (default: 3)")
    parser.add_argument("--storage-path", metavar="DIR", help="where recordings go")
    parser.add_argument("--maxspace", metavar="SIZE", help="what they may take: 500GB")
    parser.add_argument("--web-only", action="store_true", help="the storage is another machine")
    parser.add_argument("--yes", action="store_true", help="take the suggestions, ask nothing")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="for the files (default: /etc/ucam, or here)"
    )


def run(args: argparse.Namespace) -> int:
    """Ask and write; returns the exit status."""
    from ucam.cli.initial import look_before, write

    places = Places.of(args.output)
    try:
        look_before(places)
        found = _ask(args, places)
        write(places, found)
    except Fault as fault:
        print(f"ucam init: {fault}", file=sys.stderr)
        return 1
    except EOFError:
        print("\nucam init: the answers ended too early; give the rest as flags", file=sys.stderr)
        return 1
    except answers.WrongAnswerError as error:
        print(f"ucam init: {error}", file=sys.stderr)
        return 2
    _tell(places, found)
    return 0


def _ask(args: argparse.Namespace, places: Places) -> Answers:
    ask = _Asker(args)
    email = ask(
        *("email", "1. Your e-mail address. You log in with it, and are told of trouble."),
        *(answers.email, None),
    )
    smtp = ask(
        "outbox" if args.outbox else "smtp",
        "2. The mail server that sends login links: smtp+starttls://USER@HOST:587, or\n"
        "   smtps://USER@HOST:465. Nothing: mails become files, to try things out.",
        *(answers.smtp, ""),
    )
    password = _password(args, smtp)
    url = ask(
        "public_url",
        "3. The address that people type. With https:// something in front of ucam does TLS\n"
        "   (docs/operations.md). On this machine alone, the suggestion works.",
        *(WebUrl.parse, "http://127.0.0.1:7070"),
    )
    title = ask("location", "4. What is the place of the cameras called?", answers.title, "Studio")
    cameras = ask("cameras", "   How many cameras has it?", answers.cameras, "3")
    if args.web_only:
        return Answers(email, smtp, password, url, title, cameras)
    path = ask(
        "storage_path",
        "5. The folder for the recordings, on the disk that is for them.",
        *(lambda text: answers.storage_path(text, places), places.written("storage", "chunks")),
    )
    free = answers.free_bytes(places.config / path)
    suggested = answers.suggested_maxspace(free)
    print(f"   {Size(free)} are free there. {answers.days_text(suggested, cameras)}")
    maxspace = ask(
        "maxspace",
        "   How much may they take? The oldest go first.",
        *(lambda text: answers.maxspace(text, free), str(suggested)),
    )
    if maxspace != suggested:
        print(f"   {answers.days_text(maxspace, cameras)}")
    return Answers(email, smtp, password, url, title, cameras, path, maxspace)


class _Asker:
    """Takes an answer from a flag, the suggestion (--yes), or the person, until it is usable."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def __call__(
        self, flag: str, question: str, read: Callable[[str], T], suggestion: str | None
    ) -> T:
        given = getattr(self._args, flag)
        if given is True:  # --outbox: no server
            return read("")
        if given is None and self._args.yes:
            if suggestion is None:
                raise answers.WrongAnswerError(f"--yes has no suggestion for --{flag}: give it")
            given = suggestion
        if given is not None:
            try:
                return read(given)
            except ValueError as error:
                name = flag.replace("_", "-")
                raise answers.WrongAnswerError(f"--{name}: {error}") from None
        print(question)
        while True:
            typed = input(f"   [{suggestion}] " if suggestion else "   ").strip()
            try:
                return read(typed or suggestion or "")
            except ValueError as error:
                print(f"   {error}")


def _password(args: argparse.Namespace, smtp: str | None) -> Path | str | None:
    """The file that holds the mail server's password, or the password itself to be written."""
    if smtp is None or not answers.has_user(smtp):
        return None
    if args.smtp_password_file is not None:
        path: Path = args.smtp_password_file.absolute()
        if not path.is_file():
            raise answers.WrongAnswerError(f"--smtp-password-file: {path} is not there")
        return path
    if args.yes:
        raise answers.WrongAnswerError(f"{smtp} names a user: give --smtp-password-file, too")
    return getpass.getpass("   Its password (it goes into a file that you alone can read): ")


def _tell(places: Places, found: Answers) -> None:
    names = ["web"] if found.storage_path is None else ["web", "storage"]
    for name in names:
        print(f"{places.config / name}.toml is written; read it, it says what each line means.")
    print("\nStart it:")
    for name in names:
        print(f"  {units.command_of(name, places.config / f'{name}.toml')}")
    print(f"Log in at {found.public_url} as {found.email}.")
    if found.public_url.startswith("https"):
        print("TLS is the work of a reverse proxy in front of it: docs/operations.md has two.")
    if found.smtp is None:
        print("There is no mail server: the link to log in stands in the log of ucam web.")
    web = places.config / "web.toml"
    wanted = [found.storage] if found.storage_path is None else []
    print("Set each machine up with the code that this prints:")
    for jid in [*wanted, found.devices[0]] if found.devices else wanted:
        print(f"  ucam invite {jid} --config {web}")
