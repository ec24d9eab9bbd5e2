"""A bundle that somebody else can check without ucam: chunks, their links, keys, and how to.

openssl 3 and what every POSIX system has are enough; `docs/evidence.md` says what it proves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ucam.base.times import format_utc
from ucam.storage.chain import ChainError, Link, parse
from ucam.storage.database import Database
from ucam.storage.layout import Place
from ucam.storage.records import Gap
from ucam.storage.sealing import Sealer, device_folder, public_pem

SUMS, SUMS_SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
SIGNATURE_BYTES = 64  # Ed25519
HOWTO = """\
What this is
============
Recordings of one camera. The film beside this text is for looking at: a double click plays it.
The files in the folder with the camera's name are the same, each as its storage wrote it, with
what proves that it is so. `manifest.txt` says which, and lists the stretches of time in which
nothing was recorded.

How to check it
===============
You need openssl 3.0 or newer and a POSIX shell. In this folder:

    openssl pkeyutl -verify -pubin -inkey public-key.pem \
-rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
    sha256sum -c SHA256SUMS

say that the storage made this bundle, and that the film and the texts are as it made them. And

    sh verify.sh

says the same, and of every file whether it is what was recorded, and of every two neighbours
whether one follows the other with nothing taken out between them. It needs openssl alone, and
ends with "all is as recorded".

Whose key it is
===============
All of them believe `public-key.pem`. Compare its name with the one that `ucam verify` prints on
the storage itself, or that you were told when the storage was set up:

    openssl pkey -pubin -in public-key.pem -outform DER \
| tail -c 32 | openssl dgst -sha256 -r | cut -c 1-16

By hand
=======
Each line of `chain.txt` is one file:

    ucam-chunk 1 LOCATION CAMERA NUMBER KIND PATH BYTES HEAD-BYTES HEAD-SHA256 MEDIA-SHA256 \
PREVIOUS KEY SEALED SIGNATURE

The signature (Ed25519, base64) is of everything before the space in front of it. HEAD-SHA256 is
of the first HEAD-BYTES bytes of the file, MEDIA-SHA256 of all that follow. PREVIOUS is the SHA-256
of what was signed for NUMBER - 1. KIND is `recorded`, or `recovered` when the hashes were taken
from the file after a power cut.
"""

VERIFY = """\
#!/bin/sh
# Checks all of this folder: film and texts against SHA256SUMS, files against chain.txt.
# Exit status 0: all is as recorded.
cd "$(dirname "$0")" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
bad=0 before= number=
complain() { bad=$((bad + 1)); echo "$1"; }
digest() { openssl dgst -sha256 -r | cut -c 1-64; }
openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in SHA256SUMS \\
    -sigfile SHA256SUMS.sig > "$work/said" 2>&1 || complain "SHA256SUMS: its signature is wrong"
while read -r sum file; do
    if [ ! -f "$file" ]; then
        complain "$file: is missing"
    elif [ "$(digest < "$file")" != "$sum" ]; then
        complain "$file: is not what was exported"
    fi
done < SHA256SUMS
while IFS= read -r line; do
    printf '%s' "${line% *}" > "$work/statement"
    printf '%s' "${line##* }" | openssl base64 -d -A > "$work/signature"
    set -- ${line% *}
    file="$4/$7"
    openssl pkeyutl -verify -pubin -inkey "keys/${13}.pem" -rawin -in "$work/statement" \\
        -sigfile "$work/signature" > "$work/said" 2>&1 || complain "link $5: its signature is wrong"
    if [ ! -f "$file" ]; then
        complain "$file: is missing"
    else
        [ "$(head -c "$9" "$file" | digest)" = "${10}" ] &&
            [ "$(tail -c "+$(($9 + 1))" "$file" | digest)" = "${11}" ] ||
            complain "$file: is not what was recorded"
    fi
    if [ -n "$number" ]; then
        if [ "$5" -ne $((number + 1)) ]; then
            complain "between link $number and link $5 something is not in this bundle"
        elif [ "${12}" != "$before" ]; then
            complain "link $5 is not tied to link $number"
        fi
    fi
    number=$5 before=$(digest < "$work/statement")
done < chain.txt
if [ "$bad" -eq 0 ]; then
    echo "all is as recorded"
else
    echo "$bad problems"
    exit 1
fi
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Names, and content or the file that has it: a chunk's may have gone when it is read."""

    entries: tuple[tuple[str, bytes | Path], ...]


def heads(database: Database) -> dict[Place, str]:
    """The newest link of each device's chain, as it is written down. In the index's thread."""
    rows = database.connection.execute(
        "SELECT d.location, d.jid, l.line FROM devices d JOIN links l ON l.device = d.id"
        " AND l.number = (SELECT max(number) FROM links WHERE device = d.id)"
    )
    found = {}
    for location, jid, line in rows:
        try:
            link, _ = parse(line)
        except ChainError:
            continue  # `ucam verify` tells it
        if isinstance(link, Link):
            found[Place(location, jid)] = link.head
    return found


def lines_of_chunks(database: Database, place: Place, chunks: Sequence[int]) -> list[str]:
    """Their links, in the chain's order. In the index's thread."""
    wanted = set(chunks)
    if not wanted:
        return []
    rows = database.connection.execute(
        "SELECT l.chunk, l.line FROM links l JOIN devices d ON d.id = l.device"
        " WHERE d.location = ? AND d.jid = ? AND l.chunk BETWEEN ? AND ? ORDER BY l.number",
        (place.location, place.jid, min(wanted), max(wanted)),
    )
    return [line for chunk, line in rows if chunk in wanted]


def bundle(
    root: Path,
    place: Place,
    lines: Sequence[str],
    gaps: Iterable[Gap],
    sealer: Sealer,
    *,
    window_us: tuple[int, int],
    made_us: int,
    made_for: str,
    film: str,
) -> Bundle:
    """What goes into the bundle of closed chunks of one device; `lines`: their links (a chunk
    without one is left out); `film`: its name, or why there is none.
    """
    links = []
    for line in lines:
        try:
            link, _ = parse(line)
        except ChainError:
            continue
        if isinstance(link, Link):
            links.append((line, link))
    made = f"up to {format_utc(made_us)} for {made_for}"
    manifest = _manifest(place, [link for _, link in links], gaps, window_us, made, film)
    entries: list[tuple[str, bytes | Path]] = [
        ("HOWTO.txt", HOWTO.encode()),
        ("verify.sh", VERIFY.encode()),
        ("manifest.txt", manifest),
        ("public-key.pem", public_pem(sealer.keys[sealer.id])),
        ("chain.txt", "".join(f"{line}\n" for line, _ in links).encode()),
    ]
    for used in sorted({link.key for _, link in links}):
        if used in sealer.keys:
            entries.append((f"keys/{used}.pem", public_pem(sealer.keys[used])))
    folder = device_folder(root, place)
    entries += [(f"{place.jid}/{link.path}", folder / link.path) for _, link in links]
    return Bundle(tuple(entries))


def _manifest(
    place: Place,
    links: Sequence[Link],
    gaps: Iterable[Gap],
    window_us: tuple[int, int],
    made: str,
    film: str,
) -> bytes:
    lines = [
        "ucam bundle 1",
        f"camera: {place.jid} in {place.location}",
        f"from: {format_utc(window_us[0])}",
        f"to: {format_utc(window_us[1])}",
        f"made: {made}",
        f"film: {film}",
        f"files: {len(links)}",
        *(f"file: {link.path} link {link.number} {link.digest}" for link in links),
        *(
            f"nothing recorded: {format_utc(gap.from_us)} to {format_utc(gap.to_us)}: {gap.reason}"
            for gap in gaps
        ),
    ]
    return ("\n".join(lines) + "\n").encode()
