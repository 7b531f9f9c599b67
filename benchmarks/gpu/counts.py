"""What the tiles of matrix products ask of memory, counted by simt's tracer (cuda/simt/tracer/counters.cpp)."""
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile
from collections import defaultdict

# Some nine slabs of terms and whole tiles; twice, because isobit verify runs an algorithm on aligned tensors only every
# other time.
SHAPES = [f"ic32ih8iw16oc128kh3ph1n\"{i}\"" for i in range(2)]
# What a slab of the main loop runs through: begins to fetch the next one, is multiplied, puts down what came. All else makes
# tables, joins blocks of terms, or writes the result.
MAIN_LOOP = ("begin", "multiply", "store", "finish")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SUMMED = ("requests", "bytes", "cost", "ideal")

DEFINITION = re.compile(r"const auto (\w+) = \[|(?:__device__|__global__) .*?\b(?!__launch_bounds__)(\w+)\(")


def short(name):
    name = re.sub(r"isobit::(\w+::kernels::)?|\(anonymous namespace\)::", "", name).replace("(Reach)", "")
    return re.sub(r"\(.*", "", name)  # what it takes


def function_at(lines, number):
    """Which function, or lambda with a name, line `number` (from 1 on) stands in, by the indentation; "" in none."""
    def indent(line):
        return len(line) - len(line.lstrip())
    least = indent(lines[number - 1])
    for line in reversed(lines[:number - 1]):
        if not line.strip() or indent(line) >= least or line.lstrip().startswith("#"):
            continue
        least = indent(line)
        if match := DEFINITION.search(line):
            return match.group(1) or match.group(2)
    return ""


@functools.lru_cache(None)
def source(path):
    """The lines of a file of this repository, which was compiled in a folder of its own."""
    return (ROOT / re.sub(r"^(\.\./)+", "", path)).read_text().splitlines()


def places(program, addresses):
    """{address: file:line}"""
    done = subprocess.run(["addr2line", "-e", program], input="\n".join(addresses) + "\n", capture_output=True, text=True, check=True)
    return dict(zip(addresses, (line.split(" ")[0] for line in done.stdout.splitlines())))


def parse(lines, program=None):
    """The rows of the tracer's file: by kernel, main loop or not, memory, direction and width, with what follows from them:
    useful bytes of a sector, conflicts."""
    found = [json.loads(line) for line in lines]
    addresses = sorted({row["at"] for row in found if row["at"].startswith("0x")})
    place_of = places(program, addresses) if addresses else {}
    sums = defaultdict(lambda: dict.fromkeys(SUMMED, 0))
    for row in found:
        path, _, number = place_of.get(row["at"], row["at"]).rpartition(":")
        main = function_at(source(path), int(number)) in MAIN_LOOP
        key = (short(row["kernel"]), main, "shared" if row["shared"] else "global", bool(row["write"]), row["width"])
        for name in SUMMED:
            sums[key][name] += row[name]
    rows = []
    for key, summed in sorted(sums.items()):
        row = {**dict(zip(("kernel", "main_loop", "memory", "write", "width"), key)), **summed}
        if row["memory"] == "global":
            row["sector_use"] = round(row["ideal"] / row["cost"], 4)
        else:
            row["conflicts"] = row["cost"] - row["ideal"]
        rows.append(row)
    return rows


def measure(program, kernel="gemm_vector<"):
    """The rows of kernels whose name holds `kernel`; None where the program was not built."""
    if not program.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        shapes, out = os.path.join(folder, "shapes.txt"), os.path.join(folder, "counts")
        with open(shapes, "w") as file:
            file.write("\n".join(SHAPES) + "\n")
        subprocess.run([program, "verify", "--devices", "simt", "--shapes", shapes, "--only", " f32 "], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env={**os.environ, "ISOBIT_SIMT_COUNTS": out})
        with open(out) as file:
            return parse([line for line in file if kernel in line], program)
