"""Run npm in ui/ with the Node of the venv: `python tools/npm.py run check`."""

import subprocess
import sys

from setup import ROOT, npm

sys.exit(subprocess.run(npm(*sys.argv[1:]), cwd=ROOT / "ui", check=False).returncode)
