#!/usr/bin/env python3
"""What can be known of the CUDA kernels' speed without a GPU: of every kernel and architecture registers, spills, shared
memory, occupancy and what the hot loop issues, read from the machine code; what simt counts of memory; the roofline.

  benchmarks/gpu_static.py [--arch N,N...] [--file NAME.cu] [--json] [--write] [BUILD]

BUILD is a build for virtual architectures, build/cuda if not given:
  ISOBIT_CUDA_ARCHITECTURES='75-virtual;80-virtual' scripts/build cuda isobit_cuda
Counts of memory come from the traced program (cmake --build build/release --target isobit_traced), where it was built.

  --json    the last line of stdout is {"kernels": [...], "counts": [...], "shapes": [...]}; docs/gpu-static.md says what is in it
  --write   writes docs/gpu-static.md, which holds the kernels of products and convolutions, and looks at no others
  --file    looks at the kernels of one file alone, or of those that a pattern names ('conv_*.cu')

nvdisasm is that of the toolkit, of PATH, or PyPI's nvidia-cuda-nvdisasm, which is installed into build/nvdisasm when needed.
"""
import argparse
import concurrent.futures
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gpu-static.md"
TRACED = ROOT / "build" / "release" / "tests" / "emulator" / "isobit_traced"
sys.path.insert(0, str(ROOT / "benchmarks"))
sys.dont_write_bytecode = True
from gpu import counts, page, roofline, sass  # noqa: E402

loader = importlib.machinery.SourceFileLoader("kernel_table", str(ROOT / "scripts" / "kernel-table"))
kernel_table = importlib.util.module_from_spec(importlib.util.spec_from_loader("kernel_table", loader))
loader.exec_module(kernel_table)

PAGE_FILES = ("conv_*.cu", "gemm*.cu")
# The general tile of exact f32: what most convolutions and matrix products with multiples of four channels run through.
MAIN_TILE = re.compile(r"gemm_vector<Tile<128, 128, 8, 8>")


def nvdisasm():
    home = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    for found in (os.environ.get("NVDISASM"), home / "bin" / "nvdisasm", shutil.which("nvdisasm")):
        if found and pathlib.Path(found).exists():
            return str(found)
    folder = ROOT / "build" / "nvdisasm"
    found = list(folder.glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    if not found:
        print(f"no nvdisasm here: installing PyPI's nvidia-cuda-nvdisasm into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
        subprocess.run([folder / "bin" / "pip", "--quiet", "install", "nvidia-cuda-nvdisasm"], check=True, stdout=sys.stderr)
        found = list(folder.glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    return str(found[0])


def look_at(text, arch, disassembler):
    """{kernel: [registers, shared bytes, spilled bytes, hot loop]} of a module of PTX."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        found = kernel_table.run_ptxas(text, arch, cubin.name)
        done = subprocess.run([disassembler, "-c", cubin.name], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{disassembler} failed: {done.stderr}")
    code = sass.functions(done.stdout)
    return {kernel: [*found[kernel], sass.hot_loop(code.get(kernel, []))] for kernel in found}


def kernels_of(build, arches, file):
    """The rows of the JSON."""
    jobs, bounds, cache = kernel_table.modules_of(build, arches, file)
    if not jobs:
        sys.exit(f"no kernel with PTX was found in {build}: build it for virtual architectures")
    disassembler = nvdisasm()
    reader = pathlib.Path(sass.__file__).read_text()

    def look(job):
        key = f"sass {kernel_table.ptxas_version()} {job[2]} {reader} {job[1]}"
        return kernel_table.once(cache, key, lambda: look_at(job[1], job[2], disassembler))

    rows = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (path, _, arch), found in zip(jobs, pool.map(look, jobs)):
            names = kernel_table.check_ptx.demangled(list(found))
            for (kernel, (registers, shared, spills, loop)), name in zip(found.items(), names):
                threads, blocks = bounds[kernel]
                warps = (threads + 31) // 32
                share = {name: value for name, value in (loop or {}).items() if name.endswith("_share")}
                if "mma_share" not in share:
                    share.setdefault("ffma_share", 0.0)
                rows.append({
                    "name": kernel_table.short(name), "arch": f"sm_{arch}", "file": path.name.removesuffix(".o"),
                    "threads": threads, "registers": registers, "spills": spills, "shared_bytes": shared,
                    "occupancy": kernel_table.occupancy(arch, registers, threads, shared),
                    "planned_occupancy": 100 * blocks * warps // kernel_table.LIMITS[arch][0] if blocks else None,
                    **share, "main_tile": MAIN_TILE.match(kernel_table.short(name)) is not None,
                    "hot_loop": {key: loop[key] for key in ("slots", "mix", "widths")} if loop else None})
    return sorted(rows, key=lambda row: (row["file"], row["name"], int(row["arch"][3:])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default=",".join(map(str, kernel_table.LIMITS)))
    parser.add_argument("--file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("build", nargs="?", type=pathlib.Path, default=ROOT / "build" / "cuda")
    options = parser.parse_args()
    arches = [int(arch) for arch in options.arch.split(",")]
    if options.write and (options.file or arches != list(kernel_table.LIMITS)):
        sys.exit("--write takes every architecture and files of its own")
    files = PAGE_FILES if options.write else (options.file,)
    kernels = [row for file in files for row in kernels_of(options.build, arches, file)]
    counted = counts.measure(TRACED)
    if counted is None:
        print(f"{TRACED} was not built (target isobit_traced): what memory must move was not counted", file=sys.stderr)
    shapes = roofline.shapes_in(ROOT / "benchmarks" / "shapes" / "anchor.txt")
    text = page.render(kernels, counted or [], shapes, kernel_table.ptxas_version())
    if options.write:
        PAGE.write_text(text)
    print(text, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        predicted = [{"name": shape.name, "flops": shape.flops, "bytes": shape.bytes, "intensity": round(shape.intensity, 2),
                      "milliseconds": {chip.name: round(shape.seconds(chip) * 1e3, 5) for chip in roofline.CHIPS}}
                     for shape in shapes]
        print(json.dumps({"kernels": kernels, "counts": counted, "shapes": predicted}))
    spills = [row for row in kernels if row["spills"]]
    for row in spills:
        print(f"{row['name']} spills {row['spills']} bytes on {row['arch']}", file=sys.stderr)
    return 1 if spills else 0


if __name__ == "__main__":
    sys.exit(main())
