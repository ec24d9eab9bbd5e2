"""The page: files that the build put into the package, served from memory."""

import gzip
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.connection import Request
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

FOLDER = Path(__file__).parent / "page"
_MISSING = (
    "The page has not been built: run `make page` in the source folder (the package from "
    "`pip install` brings it along)."
)
# The build puts a hash of the content into the name: such a file never changes.
_HASHED = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
_FOREVER = "public, max-age=31536000, immutable"
_AN_HOUR = "public, max-age=3600"
_COMPRESSED = ("text/", "application/json", "application/manifest+json", "image/svg+xml")
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}
# The page's own addresses; which view is shown is the page's affair.
VIEWS = ("/", "/login", "/camera/{jid:str}", "/recordings", "/health", "/room", "/settings")


@dataclass(frozen=True, slots=True)
class File:
    """One file: its body as it is and, where that pays, compressed."""

    media_type: str
    cache: str
    body: bytes
    compressed: bytes | None


class Page:
    """The files of a folder, read anew when its `index.html` changes (a new build)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._built_ns: int | None = None
        self._files: dict[str, File] = {}

    def file(self, name: str) -> File | None:
        """The file `name`, relative to the folder. Only names that the build made are found:
        nothing that a request says ever becomes a path."""
        self._refresh()
        return self._files.get(name)

    @property
    def built(self) -> bool:
        """Whether there is a page at all."""
        self._refresh()
        return "index.html" in self._files

    def _refresh(self) -> None:
        try:
            built_ns = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            self._files, self._built_ns = {}, None
            return
        if built_ns == self._built_ns:
            return
        self._files = {
            path.relative_to(self._folder).as_posix(): _load(path)
            for path in sorted(self._folder.rglob("*"))
            if path.is_file()
        }
        self._built_ns = built_ns


def _load(path: Path) -> File:
    body = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    media_type = media_type or "application/octet-stream"
    compressed = gzip.compress(body, mtime=0) if media_type.startswith(_COMPRESSED) else None
    if path.name == "index.html":
        cache = "no-store"
    else:
        cache = _FOREVER if _HASHED.search(path.name) else _AN_HOUR
    return File(media_type, cache, body, compressed)


def routes(page: Page, policy: Callable[[], str]) -> list[HTTPRouteHandler]:
    """The handlers of this module. `policy`: the page's content security policy as of now."""

    @get(list(VIEWS), include_in_schema=False)
    async def view(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not page.built:
            return Response(_MISSING.encode(), status_code=503, media_type="text/plain")
        answer = _answer(request, page.file("index.html"))
        answer.headers["Content-Security-Policy"] = policy()
        return answer

    names = ["/assets/{name:path}", "/{name:str}"]

    @get(names, include_in_schema=False)
    async def file(request: Request[Any, Any, Any]) -> Response[bytes]:
        return _answer(request, page.file(request.scope["path"].removeprefix("/")))

    return [view, file]


def _answer(request: Request[Any, Any, Any], file: File | None) -> Response[bytes]:
    if file is None:
        raise NotFoundException("there is nothing here")
    headers = {"Cache-Control": file.cache}
    body = file.body
    if file.compressed is not None:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = file.compressed
    return Response(body, headers=headers, media_type=file.media_type)
