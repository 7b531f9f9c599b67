"""One case from both sides: its inputs, PyTorch's answer in f64 with the bound of every element, isobit's answer, and
what is wrong between them."""
import json
import os
import subprocess
import tempfile

import torch

import majorant
import tensors
from registry import OPS

TYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
# Half the distance of 1 and the next number, of the type that sums are kept in and of the type that is stored; and of
# the numbers nearest to zero.
SUMS = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-24, "bf16": 2.0**-24}
STORED = {"f64": 0.0, "f32": 0.0, "f16": 2.0**-11, "bf16": 2.0**-8}
SMALLEST = {"f64": 2.0**-1075, "f32": 2.0**-150, "f16": 2.0**-25, "bf16": 2.0**-134}
# The smallest normal number over the unit: PyTorch flushes what lies below in f64, isobit rounds in its own type.
FLOOR = {"f64": 2.0**-968, "f32": 2.0**-125, "f16": 2.0**-125, "bf16": 2.0**-125}
# How often a composed op stores an intermediate result in a half before it stores the last one.
STORES = 4
SEEDS = ("g", "h.")


class Refused(Exception):
    """PyTorch, or what is built of it here, does not have this configuration."""


def values(shape, kind, spread, make):
    """Random numbers; spread: "uniform", "integers" (with ties and zeros), "wide" (many magnitudes)."""
    t = torch.rand(shape, generator=make, dtype=torch.float64) * 2 - 1
    if kind == "positive":
        return t.abs() + 0.25
    if kind == "away":  # from zero, where the function has a kink
        return t + 0.25 * torch.where(t < 0, -1.0, 1.0).double()
    if spread == "integers":
        return (t * 3.5).round() + 0.0
    if spread == "wide":
        t = t * 2.0 ** torch.randint(-6, 7, shape, generator=make)
    return t


class Expectation:
    """inputs: what isobit gets, by name. wanted: {"y": (value, bound), "d.x": ..., "dd.x": ...}; a value None is zero."""

    def __init__(self, case):
        self.case, self.op = case, OPS[case["op"]]
        self.dtype = TYPES[case["dtype"]]
        self.gradients = case["dtype"] in ("f64", "f32")
        self.failure = None  # of PyTorch's autograd
        self.refused, self.inputs, self.wanted, self.leaves = None, {}, {}, []
        make = torch.Generator().manual_seed(case["seed"])
        try:
            described = self.op.inputs(case)
            drawn = {}
            for name, shape in described.items():
                shape, kind = shape if isinstance(shape, tuple) else (shape, "any")
                drawn[name] = self.stored(values(shape, kind, case["values"], make), name)
            others = self.op.others(case, make)
            for name, t in others.items():
                others[name] = self.stored(t, name) if t.is_floating_point() else self.keep(t, name)
            self.leaves = list(drawn)
            leaves = {name: t.clone().requires_grad_(self.gradients) for name, t in drawn.items()}
            y = self.op.function(case, {**leaves, **others})
        except (RuntimeError, ValueError, IndexError) as error:
            self.refused = str(error) or repr(error)
            if not self.inputs:  # isobit is asked as well, with what there is
                self.refused_early()
            return
        operands = {name: majorant.leaf(t) for name, t in drawn.items()}
        majorant.floor = FLOOR[case["dtype"]]
        with torch.no_grad():
            bounded = self.op.bound(case, {**operands, **others})
        self.want("y", y, bounded)
        if self.gradients:
            self.differentiate(y, bounded, leaves, operands, make)

    def refused_early(self):
        raise AssertionError(f"the inputs of {self.case} cannot be drawn: {self.refused}")

    def keep(self, t, name):
        self.inputs[name] = t
        return t

    def stored(self, t, name):
        """t as the case's dtype has it, in f64."""
        self.inputs[name] = t.to(self.dtype)
        return self.inputs[name].double()

    def want(self, name, value, bounded):
        if bounded is None:
            self.wanted[name] = (value, None if value is None else torch.zeros(value.shape, dtype=torch.float64), 0)
            return
        dtype = self.case["dtype"]
        bound = torch.zeros_like(bounded.s)  # what is only moved is exact
        if bounded.k > 0:
            bound = (4 * bounded.k * SUMS[dtype] + STORES * STORED[dtype]) * bounded.s
            bound = bound + 4 * bounded.k * SMALLEST[dtype] * (bounded.s > 0)
        self.wanted[name] = (None if value is None else value.detach(), bound, bounded.k)

    def differentiate(self, y, bounded, leaves, operands, make):
        names = self.leaves
        g = self.stored(values(y.shape, "any", self.case["values"], make), "g").requires_grad_()
        seeds = [self.stored(values(leaves[n].shape, "any", self.case["values"], make), "h." + n) for n in names]
        first, second = self.by_autograd(y, leaves, g, seeds)
        with torch.no_grad():
            g_bound = majorant.leaf(g.detach())
            inputs = list(operands.values())
            first_bounds = majorant.grad([bounded], inputs, [g_bound])
            second_bounds = majorant.grad(first_bounds, [*inputs, g_bound], [majorant.constant(h, 0) for h in seeds])
        if first is None:
            # PyTorch lacks this derivative: the values of the expressions that give the bounds.
            first, second = ([b and b.v for b in bounds] for bounds in (first_bounds, second_bounds))
        for name, value, bound in zip(names, first, first_bounds):
            self.want("d." + name, value, bound)
        for name, value, bound in zip([*names, "g"], second, second_bounds):
            self.want("dd." + name, value, bound)

    def by_autograd(self, y, leaves, g, seeds):
        """First and second gradients, None where there is none; (None, None) where PyTorch fails."""
        inputs = list(leaves.values())
        if not y.requires_grad:
            return [None] * len(inputs), [None] * (len(inputs) + 1)
        try:
            first = torch.autograd.grad(y, inputs, g, create_graph=True, allow_unused=True)
            some = [(d, h) for d, h in zip(first, seeds) if d is not None and d.requires_grad]
            if not some:
                return first, [None] * (len(inputs) + 1)
            return first, torch.autograd.grad([d for d, _ in some], [*inputs, g], [h for _, h in some],
                                              allow_unused=True)
        except RuntimeError as error:
            self.failure = str(error)
            return None, None

    def compare(self, results, refusals, perturb=None):
        """None, or what is wrong. results: isobit's tensors; perturb(name, got, bound) changes them first. The largest
        share of its bound that any error takes is left in self.share."""
        self.share = 0.0
        theirs = refusals.get("refused")
        if self.refused is not None:
            return None if theirs else f"is computed, but the peer refuses: {self.refused}"
        if theirs:
            return f"is refused: {theirs}"
        if "gradients_refused" in refusals:
            return f"its gradient is refused: {refusals['gradients_refused']}"
        if "differs" in refusals:
            return refusals["differs"]
        for name, (value, bound, k) in self.wanted.items():
            got = results.get(name)
            if got is None and (value is None or name != "y"):
                got = torch.zeros(value.shape, dtype=self.dtype) if value is not None else None
            if got is None:
                if value is None:
                    continue
                return f"{name} is missing"
            wanted = torch.zeros(got.shape, dtype=torch.float64) if value is None else value
            if got.shape != wanted.shape:
                return f"{name} has the shape {list(got.shape)}, expected {list(wanted.shape)}"
            if bound is None:
                bound = torch.zeros(wanted.shape, dtype=torch.float64)
            got = got.double()
            if perturb:
                got = perturb(name, got, bound)
            error = (got - wanted).abs()
            bad = ~(error <= bound)
            if bool(bad.any()):
                at = int(bad.flatten().nonzero()[0])
                where = [int(i) for i in torch.unravel_index(torch.tensor(at), wanted.shape)] if wanted.dim() else []
                return (f"{name}{where} is {got.flatten()[at].item()!r}, PyTorch has {wanted.flatten()[at].item()!r}: "
                        f"{error.flatten()[at].item():.3g} apart, allowed {bound.flatten()[at].item():.3g} "
                        f"(K = {k:g}; {int(bad.sum())} of {bad.numel()} elements)")
            positive = bound > 0
            if bool(positive.any()):
                self.share = max(self.share, (error[positive] / bound[positive]).max().item())
        return None


def run_program(program, device, expectations, timeout=600):
    """isobit's results of each: (tensors by name, refusals by kind). One that brings the program down is told as
    {"crashed": ...}; the others are computed without it."""
    if not expectations:
        return []
    with tempfile.TemporaryDirectory(prefix="isobit-differential-") as folder:
        paths = {name: os.path.join(folder, name) for name in ("cases", "inputs", "out")}
        everything, listed = {}, []
        for i, e in enumerate(expectations):
            everything.update({f"{i}.{name}": t for name, t in e.inputs.items()})
            listed.append({**e.case, "id": str(i), "leaves": e.leaves, "gradients": e.gradients and e.refused is None})
        with open(paths["cases"], "w") as file:
            json.dump(listed, file)
        tensors.write(paths["inputs"], everything)
        command = [program, "--device", device]
        for name, path in paths.items():
            command += [f"--{name}", path]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
            failure = None if done.returncode == 0 else f"status {done.returncode}: {done.stderr.strip()[-400:]}"
        except subprocess.TimeoutExpired:
            failure = f"no answer in {timeout} s"
        if failure is None:
            found, metadata = tensors.read(paths["out"])
            answers = [({}, {}) for _ in expectations]
            for where, source in ((0, found), (1, metadata)):
                for name, value in source.items():
                    index, _, rest = name.partition(".")
                    answers[int(index)][where][rest] = value
            return answers
    if len(expectations) == 1:
        return [({}, {"crashed": failure})]
    half = len(expectations) // 2
    timeout = max(20, timeout // 4)
    return (run_program(program, device, expectations[:half], timeout) +
            run_program(program, device, expectations[half:], timeout))


def judge(program, device, cases, perturb=None):
    """For each case (what is wrong or None, whether both refused it, the largest share of a bound, why PyTorch has no
    derivative or None)."""
    return judge_expected(program, device, [Expectation(case) for case in cases], perturb)


def judge_expected(program, device, expectations, perturb=None):
    verdicts = []
    for e, (results, refusals) in zip(expectations, run_program(program, device, expectations)):
        e.share = 0.0
        wrong = refusals.get("crashed") and f"brings the program down: {refusals['crashed']}"
        wrong = wrong or e.compare(results, refusals, perturb and (lambda *a, case=e.case: perturb(case, *a)))
        verdicts.append((wrong, e.refused is not None and wrong is None, e.share, e.failure))
    return verdicts
