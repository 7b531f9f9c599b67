#!/usr/bin/env python3
"""Makes a notebook of every example: the head comment becomes text, every "# %% title" begins a new cell.

  python3 python_examples/make_notebooks.py [--out DIR] [--check]

Without --out they lie in python_examples/notebooks; --check says whether those there are what would be made, and changes
nothing. Only the standard library.
"""

import argparse
import ast
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The notebook's folder is not that of the examples: this finds common.py.
SETUP = """import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd() if Path("common.py").exists() else Path.cwd().parent))
%matplotlib inline
"""


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text.strip("\n").splitlines(keepends=True)}


def code(text):
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
            "source": text.strip("\n").splitlines(keepends=True)}


def notebook(script):
    text = script.read_text()
    tree = ast.parse(text)
    head = ast.get_docstring(tree)
    if head is None:
        sys.exit(f"{script.name}: no head comment")
    body = "\n".join(text.splitlines()[tree.body[0].end_lineno :])
    title, _, rest = head.partition("\n")
    cells = [markdown(f"# {title.rstrip('.')}\n{rest}"), code(SETUP)]
    for part in re.split(r"^(?=# %%)", body, flags=re.MULTILINE):
        match = re.match(r"# %% *(.*)\n", part)
        if match:
            cells.append(markdown(f"## {match.group(1)}"))
            part = part[match.end() :]
        if part.strip():
            part = part.replace("arguments(__doc__", 'arguments(""')
            cells.append(code(part))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {
        "cells": cells,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=HERE / "notebooks", type=Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    scripts = sorted(HERE.glob("[0-9][0-9]_*.py"))
    stale = []
    for script in scripts:
        text = json.dumps(notebook(script), indent=1, ensure_ascii=False) + "\n"
        target = args.out / f"{script.stem}.ipynb"
        if args.check:
            if not target.exists() or target.read_text() != text:
                stale.append(target.name)
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    if stale:
        sys.exit(f"not what the scripts say: {', '.join(stale)}: run python_examples/make_notebooks.py")
    print(f"{len(scripts)} notebooks {'are right' if args.check else f'in {args.out}'}")


if __name__ == "__main__":
    main()
