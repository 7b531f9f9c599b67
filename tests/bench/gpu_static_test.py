"""What benchmarks/gpu reads out of machine code, counts and shapes: python3 tests/bench/gpu_static_test.py"""
import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks"))
from gpu import counts, page, roofline, sass  # noqa: E402


def listing(*lines, name="kernel"):
    """A function as nvdisasm -c prints it; a line that ends with a colon is a label."""
    text = [f'\t.section\t.text.{name},"ax",@progbits', '\t.sectioninfo\t@"SHI_REGISTERS=32"', f".text.{name}:"]
    address = 0
    for line in lines:
        if line.endswith(":"):
            text.append(line)
        else:
            text.append(f"        /*{address:04x}*/                   {line} ;")
            address += 16
    return "\n".join(text) + "\n"


def hot(*lines):
    return sass.hot_loop(sass.functions(listing(*lines))["kernel"])


class Reading(unittest.TestCase):
    def test_functions(self):
        text = listing("MOV R1, c[0x0][0x28]", "EXIT") + listing("EXIT", name="other") + \
            '\t.section\t.nv.constant0,"a"\n        /*0000*/ NOP ;\n'
        found = sass.functions(text)
        self.assertEqual({name: [i.opcode for i in code] for name, code in found.items()},
                         {"kernel": ["MOV", "EXIT"], "other": ["EXIT"]})

    def test_parts(self):
        code = sass.functions(listing(".L_x_1:", "@!P0 LDG.E.128 R4, [R2.64]", "@UP1 UIADD3 UR4, UR4, 0x1, URZ"))["kernel"]
        self.assertEqual((code[0].name, code[0].guarded, code[0].labels), ("LDG", True, [".L_x_1"]))
        self.assertTrue(code[1].guarded)

    def test_widths(self):
        code = sass.functions(listing("LDS.128 R4, [R2]", "LDS.64 R4, [R2]", "LDS R4, [R2+0x80]", "LDS.U8 R4, [R2]",
                                      "LDG.E.U16.CONSTANT R4, [R2.64]", "LDGSTS.E.BYPASS.128 [R4], [R2.64]",
                                      "LDSM.16.M88.4 R4, [R2]"))["kernel"]
        self.assertEqual([i.bits for i in code], [128, 64, 32, 8, 16, 128, 32])


class HotLoop(unittest.TestCase):
    def test_share(self):
        found = hot("MOV R1, R2", ".L_x_1:", "LDS.128 R4, [R2]", "FFMA R8, R4, R5, R8", "FFMA R9, R4.reuse, R6, R9",
                    "@P0 BRA `(.L_x_1)", "STG.E [R2.64], R8", "EXIT")
        self.assertEqual((found["slots"], found["ffma_share"], found["widths"]), (4, 0.5, {"LDS": {128: 1}}))

    def test_none(self):
        self.assertIsNone(hot("FFMA R8, R4, R5, R8", "EXIT"))
        self.assertIsNone(sass.hot_loop([]))

    def test_the_innermost_counts_alone(self):
        found = hot(".L_x_1:", "FFMA R1, R2, R3, R1", ".L_x_2:", "FFMA R8, R4, R5, R8", "FFMA R9, R4, R6, R9",
                    "@P0 BRA `(.L_x_2)", "IADD3 R2, R2, 0x1, RZ", "@P1 BRA `(.L_x_1)", "EXIT")
        self.assertEqual((found["slots"], found["mix"]), (3, {"FFMA": 2, "BRA": 1}))

    def test_of_equal_ones_the_innermost(self):
        # The last step of a pipeline stands behind its loop, in the loop around it.
        found = hot(".L_x_1:", "MOV R9, RZ", ".L_x_2:", "FFMA R8, R4, R5, R8", "@P0 BRA `(.L_x_2)", "LDG.E R2, [R4.64]", "FFMA R8, R4, R5, R8",
                    "@P1 BRA `(.L_x_1)", "EXIT")
        self.assertEqual(found["mix"], {"FFMA": 1, "BRA": 1})

    def test_an_inner_loop_without_arithmetic_is_no_hot_loop(self):
        found = hot(".L_x_1:", "FFMA R8, R4, R5, R8", ".L_x_2:", "LDG.E R4, [R2.64]", "@P0 BRA `(.L_x_2)", "@P1 BRA `(.L_x_1)",
                    "EXIT")
        self.assertEqual(found["mix"], {"FFMA": 1, "BRA": 1})

    def test_what_ptxas_put_behind_the_end_belongs_to_the_loop(self):
        # A path that is seldom taken leaves the loop's addresses and comes back into its middle.
        found = hot(".L_x_1:", "FFMA R8, R4, R5, R8", "@!P2 BRA `(.L_x_9)", ".L_x_3:", "FFMA R9, R4, R6, R9",
                    "@P0 BRA `(.L_x_1)", "EXIT", ".L_x_9:", "MOV R4, RZ", "BRA `(.L_x_3)")
        self.assertEqual(found["mix"], {"FFMA": 2, "BRA": 3, "MOV": 1})

    def test_branches_on_operands_fall_through(self):
        found = hot(".L_x_1:", "FFMA R8, R4, R5, R8", "BRA.U UP0, `(.L_x_1)", "EXIT")
        self.assertEqual(found["slots"], 2)
        found = hot(".L_x_1:", "FFMA R8, R4, R5, R8", "BRA `(.L_x_1)", ".L_x_2:", "MOV R1, R2", "BRA `(.L_x_2)")
        self.assertEqual(found["mix"], {"FFMA": 1, "BRA": 1})

    def test_a_call_of_a_label_is_a_way_out(self):
        found = hot("MOV R1, R2", ".L_x_1:", "MOV R9, RZ", ".L_x_2:", "CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_s64)",
                    "FFMA R8, R4, R5, R8", "@P0 CALL.REL.NOINC `(.L_x_3)", "BRA `(.L_x_2)", ".L_x_3:", "FFMA R8, R4, R5, R8",
                    "BRA `(.L_x_1)")
        self.assertEqual(found["mix"], {"CALL": 2, "FFMA": 1, "BRA": 1})

    def test_without_arithmetic_the_one_that_moves_most(self):
        found = hot(".L_x_1:", "IADD3 R1, R1, 0x1, RZ", "@P0 BRA `(.L_x_1)", ".L_x_2:", "LDG.E.64 R4, [R2.64]",
                    "STG.E.64 [R8.64], R4", "@P0 BRA `(.L_x_2)", "EXIT")
        self.assertEqual(found["widths"], {"LDG": {64: 1}, "STG": {64: 1}})
        self.assertNotIn("ffma_share", found)

    def test_accesses_of_nothing_are_not_listed(self):
        found = hot(".L_x_1:", "FFMA R8, R4, R5, R8", "LDS R4, [R2]", "LDS RZ, [RZ]", "@P0 BRA `(.L_x_1)", "EXIT")
        self.assertEqual((found["slots"], found["widths"]), (4, {"LDS": {32: 1}}))

    def test_kinds(self):
        found = hot(".L_x_1:", "HMMA.16816.F32 R4, R8, R10, R4", "HMMA.16816.F32 R4, R8, R10, R4", "LDSM.16.M88.4 R8, [R2]",
                    "@P0 BRA `(.L_x_1)", "EXIT")
        self.assertEqual(found["mma_share"], 0.5)
        found = hot(".L_x_1:", "FFMA2 R4, R8, R10, R4", "DFMA R4, R8, R10, R4", "HFMA2.MMA R4, -RZ, RZ, 0, 0", "@P0 BRA `(.L_x_1)",
                    "EXIT")
        self.assertEqual((found["ffma_share"], found["dfma_share"]), (0.25, 0.25))
        self.assertNotIn("mma_share", found)


KERNEL = """template <class T>
__global__ void __launch_bounds__(T::kThreads, kBlocks<T>) tile(Gemm p) {
  SHARED(rows, int[8]);
  if (p.rows > 0) {
#pragma unroll
    for (int i = 0; i < 8; ++i) rows[i] = 0;
    const auto begin = [&](int half) {

      for (int i = 0; i < 8; ++i)
        rows[i] = half;
    };
    begin(rows[1]);
  }
}
__device__ void store(int i, const Four<float>& four, float* slab,
                      int more) const {
  slab[i] = four.at[0];
}
"""


class Counts(unittest.TestCase):
    ROW = {"kernel": "isobit::simt::kernels::(anonymous namespace)::f<isobit::bf16>(Gemm)", "at": "", "shared": False, "write": False,
           "width": 16, "requests": 2, "bytes": 1024, "cost": 64, "ideal": 32}

    def rows(self, *changes):
        """Of a file whose line 10 is in the main loop and whose line 6 is not."""
        with tempfile.NamedTemporaryFile("w", suffix=".cuh") as file:
            file.write(KERNEL)
            file.flush()
            lines = [json.dumps({**self.ROW, **change, "at": f"{file.name}:{change.get('at', 6)}"}) for change in changes]
            return counts.parse(lines)

    def test_rows(self):
        rows = self.rows({}, {"shared": True, "cost": 33})
        self.assertEqual((rows[0]["kernel"], rows[0]["memory"], rows[0]["sector_use"]), ("f<bf16>", "global", 0.5))
        self.assertEqual((rows[1]["memory"], rows[1]["conflicts"]), ("shared", 1))
        self.assertNotIn("sector_use", rows[1])

    def test_the_main_loop_apart(self):
        rows = self.rows({}, {"at": 10, "cost": 32}, {"at": 10, "cost": 32}, {"at": 17, "cost": 36})
        self.assertEqual([(row["main_loop"], row["requests"], row["sector_use"]) for row in rows], [(False, 2, 0.5), (True, 6, 0.96)])

    def test_functions_of_lines(self):
        lines = KERNEL.splitlines()
        self.assertEqual([counts.function_at(lines, number) for number in (1, 6, 10, 12, 17)], ["", "tile", "begin", "tile", "store"])

    def test_the_main_loop_is_where_the_tile_says(self):
        kernels = pathlib.Path(__file__).resolve().parent.parent.parent / "cuda" / "kernels"
        found = set()
        for name in ("gemm_vector.cuh", "gemm_sums.cuh"):
            lines = (kernels / name).read_text().splitlines()
            found |= {counts.function_at(lines, number) for number in range(1, len(lines) + 1) if lines[number - 1].strip()}
        self.assertLessEqual(set(counts.MAIN_LOOP) | {"write", "fill_terms"}, found)

    def test_names_of_kernels_that_take_enumerators(self):
        rows = self.rows({"kernel": "isobit::simt::kernels::f<isobit::simt::kernels::Tile<64, 64>, (isobit::simt::kernels::Reach)1>(Gemm)"})
        self.assertEqual(rows[0]["kernel"], "f<Tile<64, 64>, 1>")


class Roofline(unittest.TestCase):
    def test_shape(self):
        shape = roofline.shape_of('mb16g2ic64ih56oc128kh3sh2ph1n"some"  # comment')
        self.assertEqual(shape.name, "some, batch 16")
        self.assertEqual(shape.flops, 2 * 16 * 28 * 28 * 128 * 9 * 32)
        self.assertEqual(shape.bytes, 4 * (16 * 56 * 56 * 64 + 9 * 32 * 128 + 16 * 28 * 28 * 128))

    def test_axes_of_their_own(self):
        shape = roofline.shape_of("ic1ih5iw7oc1kh3kw1ph1pw0dh1")
        self.assertEqual(shape.flops, 2 * 3 * 7 * 3)

    def test_comment(self):
        self.assertIsNone(roofline.shape_of("# only words"))

    def test_bounds(self):
        chip = roofline.Chip("c", 80, 1.0, 1000)
        heavy, light = roofline.Shape("h", 10**12, 4), roofline.Shape("l", 4, 10**12)
        self.assertEqual((heavy.seconds(chip), heavy.bound(chip)), (1.0, "arithmetic"))
        self.assertEqual((heavy.seconds(chip, 0.5), light.seconds(chip, 0.5)), (2.0, 1.0))
        self.assertEqual(light.bound(chip), "memory")

    def test_the_anchor_shapes_are_read(self):
        path = pathlib.Path(__file__).resolve().parent.parent.parent / "benchmarks" / "shapes" / "anchor.txt"
        shapes = roofline.shapes_in(path)
        self.assertEqual(len(shapes), sum(line.startswith(("mb", "transposed")) for line in path.read_text().splitlines()))
        self.assertTrue(all(shape.flops > 0 for shape in shapes))


class Page(unittest.TestCase):
    def test_rows_of_the_main_tile(self):
        row = {"name": "gemm_tile<float>", "arch": "sm_80", "file": "gemm.cu", "threads": 256, "registers": 128, "spills": 0,
               "shared_bytes": 1024, "occupancy": 25, "planned_occupancy": 25, "ffma_share": 0.875, "main_tile": True,
               "hot_loop": {"slots": 8, "mix": {"FFMA": 7}, "widths": {"LDS": {"128": 2, "32": 1}}}}
        text = page.render([row], [], [roofline.shape_of("ic4ih4oc4")], "13.0")
        self.assertIn("| `gemm_tile<float>` | sm_80 | 87.5 % | 8 | 2 x 128, 1 x 32 |", text)
        self.assertIn("25 % (planned 25 %)", text)

    def test_the_main_loop_stands_before_all_else(self):
        row = {"kernel": "f", "main_loop": True, "memory": "shared", "write": False, "width": 16, "requests": 4, "bytes": 2048,
               "cost": 16, "ideal": 16, "conflicts": 0}
        rest = {**row, "kernel": "g", "main_loop": False, "conflicts": 3}
        text = page.render([], [rest, row], [roofline.shape_of("ic4ih4oc4")], "13.0")
        self.assertIn("| `f` | shared | read | 128 | 4 | 512 | 4.00 |  | 0 |", text)
        self.assertLess(text.index("`f`"), text.index("All else"))
        self.assertLess(text.index("All else"), text.index("| `g` |"))


if __name__ == "__main__":
    unittest.main()
