"""Hooks of MkDocs for the documentation's site (mkdocs.yml): pages and files that lie elsewhere in
the project, links to them, and the reference pages, which are made from the code.

docs/ stays readable as plain Markdown in the repository: a link there names the file that it means,
and is turned here into one of the site.
"""

import os
import posixpath
import re
import sys
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# MkDocs takes this folder off the path again once the hooks are loaded.
sys.path.insert(0, str(ROOT / "tools"))
import reference  # noqa: E402

SAMPLES = ["web.toml", "storage.toml", "capture.toml", "turnserver.conf", "nginx.conf", "Caddyfile"]
# Files of the project → where they stand in the site; `on_files` adds what pages link to.
ELSEWHERE = {
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "ui/src/assets/figtree.woff2": "stylesheets/figtree.woff2",
}
# What has a page of its own in the site.
INSTEAD = {"README.md": "index.md", "config": "samples.md"}
# A link or picture: its words, the file that it names, its anchor.
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
FOR_MACHINES = "For machines: [{0}]({0})\n\n"
GENERATED = re.compile(r"<!-- generated: ([a-z-]+) -->")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A page that isn't written yet needs no entry."""
    config.nav = _existing(config.nav or [], Path(config.docs_dir))
    return config


def _existing(entries: list[object], docs: Path) -> list[object]:
    kept: list[object] = []
    for entry in entries:
        (title, what) = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        if isinstance(what, list):
            kept.append({title: _existing(what, docs)})
        elif (docs / str(what)).exists() or what in ELSEWHERE.values():
            kept.append(entry)
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies elsewhere in the project, and what is made."""
    for page in files.documentation_pages():
        for _, target, _ in LINK.findall(page.content_string):
            origin = meant_by(target, f"docs/{page.src_uri}")
            if origin in INSTEAD or origin.startswith(("docs/", "../")):
                continue
            if (ROOT / origin).is_file():
                ELSEWHERE.setdefault(origin, f"project/{origin}")
    for origin, uri in ELSEWHERE.items():
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / origin)))
    for name, text in reference.files().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is made; let links lead to where things stand in the site."""
    del config, files
    markdown = GENERATED.sub(lambda found: _made(found[1]), markdown)
    here = page.file.src_uri
    origin = next((path for path, uri in ELSEWHERE.items() if uri == here), f"docs/{here}")
    return LINK.sub(lambda found: site_link(found, origin, here), markdown)


def site_link(link: re.Match[str], origin: str, here: str) -> str:
    """A link in the project's file `origin`, as the site's page `here` has to write it."""
    words, target, anchor = link.groups(default="")
    meant = meant_by(target, origin)
    uri = ELSEWHERE.get(meant) or INSTEAD.get(meant)
    if uri is None:
        if not meant.startswith("docs/"):
            # A folder of the project is nothing to look at here. Of what isn't there MkDocs tells.
            return words if (ROOT / meant).is_dir() else link[0]
        uri = meant.removeprefix("docs/")
    return f"[{words}]({os.path.relpath(uri, posixpath.dirname(here) or '.')}{anchor})"


def meant_by(target: str, origin: str) -> str:
    """The project's file that a link in its file `origin` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


@cache
def _made(name: str) -> str:
    match name:
        case "room":
            page = reference.room_page(reference.room_schema())
            return FOR_MACHINES.format("room.schema.json") + page
        case "web":
            page = reference.openapi_page(reference.web_openapi())
            return FOR_MACHINES.format("web.openapi.json") + page
        case "storage":
            page = reference.openapi_page(reference.storage_openapi())
            return FOR_MACHINES.format("storage.openapi.json") + page
        case "samples":
            parts = [
                f"## {one}\n\n```\n{(ROOT / 'config' / one).read_text()}```" for one in SAMPLES
            ]
            return "\n\n".join(parts)
    raise ValueError(f"nothing makes {name!r}")
