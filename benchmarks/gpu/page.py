"""docs/gpu-static.md, from what benchmarks/gpu_static.py found."""
from gpu import roofline
from gpu.counts import MAIN_LOOP

NOT_COUNTED = "(Not counted when this page was written: the traced program was not built.)\n"

HEAD = """# What is known of the GPU's speed without a GPU

`benchmarks/gpu_static.py --write` wrote this page. No time here was measured: these are the instructions that ptxas {ptxas}
made of the kernels, what the emulated GPU counted of memory, and arithmetic on data sheets. `--json` ends with a line
`{{"kernels": [...], "counts": [...], "shapes": [...]}}`.

A kernel's *hot loop* is the innermost loop with the most multiply-adds; its *slots* are all its instructions, those of paths
that are seldom taken too; `ffma_share` (f32; `dfma_share`: f64, `mma_share`: tensor cores) is the part of the slots that
multiplies and adds. Every instruction takes one issue slot, so the share bounds the part of the chip's peak that a kernel
can reach. `main_tile` marks the general tile of exact f32.
"""


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def percent(value):
    return f"{100 * value:.1f} %"


def code(name):
    return "`" + name.replace("|", "\\|") + "`"


def widths(row, access):
    found = (row["hot_loop"] or {"widths": {}})["widths"].get(access, {})
    return ", ".join(f"{count} x {bits}" for bits, count in sorted(found.items(), key=lambda item: -int(item[0])))


def share_of(row):
    return next((row[name] for name in ("mma_share", "ffma_share", "dfma_share") if row.get(name)), 0.0)


def main_tiles(kernels):
    rows = []
    for row in kernels:
        if not row["main_tile"]:
            continue
        planned = f" (planned {row['planned_occupancy']} %)" if row["planned_occupancy"] else ""
        rows.append([code(row["name"]), row["arch"], percent(share_of(row)), (row["hot_loop"] or {"slots": 0})["slots"],
                     *(widths(row, access) for access in ("LDS", "STS", "LDG", "LDGSTS")), row["registers"], row["spills"],
                     row["shared_bytes"], f"{row['occupancy']} %{planned}"])
    return table(["kernel", "arch", "share", "slots", "LDS", "STS", "LDG", "LDGSTS", "registers", "spills", "shared",
                  "occupancy"], rows)


def every_kernel(kernels):
    arches = sorted({row["arch"] for row in kernels}, key=lambda arch: int(arch[3:]))
    by_kernel = {}
    for row in kernels:
        by_kernel.setdefault((row["file"], row["name"], row["threads"]), {})[row["arch"]] = row
    rows = []
    for (file, name, _), found in by_kernel.items():
        if not any(share_of(row) for row in found.values()):
            continue
        cells = [f"{percent(share_of(found[arch]))} of {found[arch]['hot_loop']['slots']}" if arch in found else ""
                 for arch in arches]
        rows.append([file, code(name), *cells])
    return table(["file", "kernel", *arches], rows)


def memory(counted, main_loop):
    rows = [[code(row["kernel"]), row["memory"], "write" if row["write"] else "read", 8 * row["width"], row["requests"],
             f"{row['bytes'] / row['requests']:.0f}", f"{row['cost'] / row['requests']:.2f}",
             percent(row["sector_use"]) if "sector_use" in row else "", row.get("conflicts", "")]
            for row in counted if row["main_loop"] == main_loop]
    return table(["kernel", "memory", "", "bits of a lane", "requests", "bytes each", "sectors or passes each",
                  "useful bytes of a sector", "conflicts"], sorted(rows))


def predictions(shapes, share):
    rows = []
    for shape in shapes:
        cells = []
        for chip in roofline.CHIPS:
            found = share.get(chip.arch)
            shared = f" / {shape.seconds(chip, found) * 1e6:.1f}" if found else ""
            cells.append(f"{shape.seconds(chip) * 1e6:.1f}{shared} ({shape.bound(chip)})")
        rows.append([shape.name, f"{shape.flops / 1e9:.3f}", f"{shape.intensity:.0f}", *cells])
    return table(["convolution", "GFLOP", "FLOP a byte", *(chip.name for chip in roofline.CHIPS)], rows)


def render(kernels, counted, shapes, ptxas):
    share = {}
    for row in kernels:
        if row["main_tile"]:
            arch = int(row["arch"][3:])
            share[arch] = max(share.get(arch, 0), share_of(row))
    chips = "; ".join(f"{chip.name}: {chip.tflops} TFLOP/s f32 without tensor cores, {chip.gbs} GB/s" for chip in roofline.CHIPS)
    return "\n".join([
        HEAD.format(ptxas=ptxas),
        "## The general tile of exact f32\n",
        "Accesses of the hot loop as count x bits of a lane.\n",
        main_tiles(kernels),
        "## What the tiles ask of memory\n",
        "Counted by the tracer ([gpu-without-a-gpu.md](gpu-without-a-gpu.md)) on 3x3 convolutions of 16 x 8 pixels with 32 channels",
        "and 128 filters, in all three directions. The last two numbers of a name tell how the operands are read: 1 by terms, 3 by",
        "rows. A request is one instruction of a warp. Global memory moves sectors of 32 bytes, shared memory passes over its 32",
        "banks; a conflict is a pass more than the width needs.\n",
        f"The lines of the main loop, `{'`, `'.join(MAIN_LOOP)}`: elements move 128 bits a lane, but those that are transposed on",
        "their way into shared memory, 32 bits.\n",
        memory(counted, True) if counted else NOT_COUNTED,
        "All else: tables of terms and rows, totals of blocks of terms, bias and result.\n",
        memory(counted, False) if counted else NOT_COUNTED,
        "## Other kernels of products and convolutions\n",
        "The share of multiply-adds in the slots of the hot loop. Of every other kernel `benchmarks/gpu_static.py --json` tells",
        "the same; registers, shared memory and occupancy of all are in [kernel-table.md](kernel-table.md).\n",
        every_kernel(kernels),
        "## The least time of the anchor shapes\n",
        f"Microseconds by the roofline: {chips}. Each tensor moves once; the second figure gives the arithmetic only the share",
        "of issue slots that the general tile's hot loop gives it. Launches, partial waves of tiles and caches are not in it: it",
        "is the bound that a measured time is held against. A gradient has the same arithmetic and bytes as its convolution.\n",
        predictions(shapes, share)])
