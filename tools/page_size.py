"""Whether the page's first load stays small: the scripts it needs at once, compressed."""

import gzip
import re
import sys

from setup import ROOT

PAGE = ROOT / "src" / "ucam" / "web" / "page"
MOST_BYTES = 60_000
_SCRIPT = re.compile(r'(?:src|href)="/(assets/[^"]+\.js)"')
# `import … from './x.js'` and `import './x.js'`; `import('./x.js')` comes later.
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'`]\./([\w.-]+\.js)["'`]""")


def first_load(index: str) -> dict[str, int]:
    """Compressed size of each script that `index.html` names, and of what those import."""
    sizes: dict[str, int] = {}
    waiting = _SCRIPT.findall(index)
    while waiting:
        name = waiting.pop()
        if name in sizes:
            continue
        text = (PAGE / name).read_bytes()
        sizes[name] = len(gzip.compress(text, mtime=0))
        waiting += [f"assets/{found}" for found in _IMPORT.findall(text.decode())]
    return sizes


def main() -> int:
    """Print, and fail when it is too much."""
    sizes = first_load((PAGE / "index.html").read_text())
    total = sum(sizes.values())
    print(f"the page's first load: {total:,} bytes of script in {len(sizes)} files, compressed")
    if not sizes or total > MOST_BYTES:
        print(f"at most {MOST_BYTES:,} are allowed: {sizes}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
