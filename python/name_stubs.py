"""name_stubs.py FOLDER: the stubs of the module _core, which was looked at outside of its package, say isobit._core."""

import pathlib
import re
import sys

for file in pathlib.Path(sys.argv[1]).rglob("*.pyi"):
    text = file.read_text()
    text = re.sub(r"^import _core$", "from isobit import _core", text, flags=re.MULTILINE)
    text = re.sub(r"^import _core(?=[.])", "import isobit._core", text, flags=re.MULTILINE)
    text = re.sub(r"^from _core(?=[. ])", "from isobit._core", text, flags=re.MULTILINE)
    file.write_text(text)
