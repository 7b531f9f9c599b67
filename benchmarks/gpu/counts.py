"""What the tiles of matrix products ask of memory, counted by simt's tracer (cuda/simt/tracer/counters.cpp)."""
import json
import os
import re
import subprocess
import tempfile

# Some nine slabs of terms and whole tiles; twice, because isobit verify runs an algorithm on aligned tensors only every
# other time.
SHAPES = [f"ic32ih8iw16oc128kh3ph1n\"{i}\"" for i in range(2)]


def short(name):
    name = re.sub(r"isobit::(\w+::kernels::)?|\(anonymous namespace\)::", "", name).replace("(Reach)", "")
    return re.sub(r"\(.*", "", name)  # what it takes


def parse(lines):
    """The rows of the tracer's file, with what follows from them: useful bytes of a sector, conflicts."""
    rows = []
    for line in lines:
        row = json.loads(line)
        row["kernel"] = short(row["kernel"])
        row["memory"] = "shared" if row.pop("shared") else "global"
        row["write"] = bool(row["write"])
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
        subprocess.run([program, "verify", "--devices", "simt", "--shapes", shapes], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env={**os.environ, "ISOBIT_SIMT_COUNTS": out})
        with open(out) as file:
            return [row for row in parse(file) if kernel in row["kernel"]]
