"""What generate.py finds in code, rule by rule: python3 tests/mutation/generate_test.py"""
import sys
import unittest

sys.dont_write_bytecode = True
from generate import Generator, stamps, titles  # noqa: E402


def mutated(body, head='__global__ void k(int n)'):
    generator = Generator()
    out = generator.file('sample.cu', f'{head} {{\n{body}\n}}\n')
    return out.split('\n')[1:-2], [m.what for m in generator.mutants if m.what]


class Rules(unittest.TestCase):
    def test_loop(self):
        out, what = mutated('for (int i = 0; i < n; ++i) f(i);')
        self.assertEqual(out, ['for (int i = 0; i <= isobit_mutant::Less{1} >= n; ++i) f(i);'])
        self.assertEqual(what, ['< becomes <=', '< becomes < -1 +'])

    def test_loop_in_steps(self):
        self.assertEqual(mutated('for (int i = 0; i < n; i += 4) f(i);')[1], ['< becomes <='])
        self.assertEqual(len(mutated('for (int i = 0; i < n; i += step) f(i);')[1]), 2)

    def test_bound(self):
        out, what = mutated('if (i >= n || j == 3) return;')
        self.assertEqual(out, ['if (i <= isobit_mutant::GreaterEqual{1} >= n ||(!isobit_mutant::is(4) && ( j == 3))) return;'])
        self.assertEqual(what, ['>= becomes >= -1 +', '>= becomes >', '>= dropped', 'guard dropped'])

    def test_guard(self):
        out, what = mutated('if (thread == 0) f();')
        self.assertEqual(out, ['if ((isobit_mutant::is(1) || (thread == 0))) f();'])
        self.assertEqual(what, ['guard dropped'])
        self.assertEqual(mutated('if (thread == 0) { f(); } else g();')[1], [])

    def test_smaller_of_two(self):
        self.assertEqual(mutated('const int end = a + b < n ? a + b : n;')[1], ['< becomes < -1 +'])
        self.assertEqual(len(mutated('const int end = a + b < n ? a : n;')[1]), 3)
        self.assertEqual(len(mutated('return [](T a, T b) { return b > a ? b : a; };')[1]), 3)

    def test_barriers_and_waits(self):
        out, what = mutated('__syncthreads();\nasync_commit();\nasync_wait<1>();')
        self.assertEqual(out, ['if (!isobit_mutant::is(1)) __syncthreads();', 'if (!isobit_mutant::is(2)) async_commit();',
                               'if (isobit_mutant::is(4)) async_wait<2>(); else if (!isobit_mutant::is(3)) async_wait<1>();'])
        self.assertEqual(what, ['__syncthreads deleted', 'async_commit deleted', 'async_wait<1> deleted',
                                'async_wait<1> waits for one group less'])

    def test_atomics(self):
        out, what = mutated('atomicAdd(&count, 1);')
        self.assertEqual(out, ['isobit_mutant::add(1, [](auto* at, auto value) { return atomicAdd(at, value); }, &count, 1);'])
        self.assertEqual(what, ['atomicAdd made plain'])

    def test_left_alone(self):
        for body in ('if constexpr (a < b) f();', 'constexpr int k = a < b ? 1 : 2;', '// i < n', 'g("i < n");',
                     'const auto x = static_cast<int>(y);'):
            self.assertEqual(mutated(body)[1], [], body)
        self.assertEqual(mutated('return a < b;', 'int of_the_host(int a)')[1], [])

    def test_stamps(self):
        sources = {'a.cu': '#include "cuda/kernels/x.cuh"\n', 'b.cu': '#include "cuda/kernels/y.cuh"\n',
                   'x.cuh': '#include "cuda/kernels/base.cuh"\n', 'y.cuh': '', 'base.cuh': ''}
        before, after = stamps(sources), stamps({**sources, 'base.cuh': 'int changed;\n'})
        self.assertEqual({name for name in sources if before[name] != after[name]}, {'a.cu', 'x.cuh', 'base.cuh'})
        # A header's mutants run in every unit that it is part of.
        self.assertNotEqual(before['base.cuh'], stamps({**sources, 'a.cu': sources['a.cu'] + 'int changed;\n'})['base.cuh'])
        self.assertEqual(before['y.cuh'], stamps({**sources, 'a.cu': ''})['y.cuh'])

    def test_titles(self):
        def named(*files):
            generator = Generator()
            for name, body in files:
                generator.file(name, '__global__ void f() {\n' + body + '\n}\n')
            return [name for name in titles(generator.mutants).values() if name.startswith('b.cu')]
        two = 'if (i < n) f();\nif (i < n) f();'
        self.assertEqual(len(set(named(('b.cu', two)))), 6)
        self.assertEqual(named(('b.cu', two)), named(('a.cu', 'if (j > 0) f();'), ('b.cu', two)))


if __name__ == '__main__':
    unittest.main()
