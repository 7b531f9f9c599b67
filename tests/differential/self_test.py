"""Does the differential test notice? One element of isobit's results is made wrong by two bounds, in y, in gradients and
in second gradients, of every op; each must be found, and some shrink to a case of which nothing can be left out. Then
the index maps of the border, which are built here, are held against F.pad's and, where it is installed, NumPy's."""
import json
import sys

import torch
import torch.nn.functional as F

import check
import common
import registry
import shrink

TRIES = 200  # cases drawn until one has what is looked for
SHRUNK = {("conv", "dd.w"), ("conv_transpose", "y"), ("avg_pool", "d.x")}  # the others are only noticed


def two_bounds(name, condition=lambda case: True):
    """The fault: the element of `name` with the largest bound, two bounds away; of an exact result, some bits."""
    def perturb(case, result, got, bound):
        if result != name or bound.numel() == 0 or not condition(case):
            return got
        at = int(bound.argmax())
        wrong = got.clone().reshape(-1)
        wrong[at] += 2 * bound.reshape(-1)[at] or max(1.0, abs(wrong[at].item())) * 2.0**-50
        return wrong.reshape(got.shape)
    return perturb


def caught(arguments, op, perturb, wanted=lambda case: True):
    """A drawn case of `op` that passes as it is and fails with the fault."""
    cases = [registry.draw(arguments.seed, index, [op]) for index in range(TRIES)]
    for case in cases:
        if case["dtype"] != "f64" or not wanted(case):
            continue
        (wrong, refused, *_), (faulty, *_) = (check.judge(arguments.program, arguments.device, [case], p)[0]
                                               for p in (None, perturb))
        if wrong:
            raise AssertionError(f"{json.dumps(case)} fails without a fault: {wrong}")
        if faulty and not refused:
            return case
    raise AssertionError(f"{op}: no fault was noticed")


def shrunk(arguments, case, perturb):
    return shrink.shrink(case, arguments.fails_of(arguments, perturb))


def smallest(case):
    """Nothing of it can be simpler: the options that every fault survives without."""
    ones = ("n", "c", "k", "groups")
    return (all(case.get(key, 1) == 1 for key in ones) and not case.get("flip") and not case.get("bias") and
            case.get("activation", "none") == "none" and not case.get("rule"))


def faults(arguments):
    """Each kind of result of every op; the number of those that were tried."""
    tried = 0
    for op in registry.OPS:
        first = "dy" if op == "conv_backward_input" else "x"
        results = ["y", "d." + first, "dd.g"] if registry.OPS[op].differentiable else ["y"]
        if op == "conv":
            results += ["d.w", "dd.x", "dd.w"]
        for result in results:
            perturb = two_bounds(result)
            case = caught(arguments, op, perturb)
            tried += 1
            if (op, result) in SHRUNK:
                small = shrunk(arguments, case, perturb)
                if not smallest(small):
                    raise AssertionError(f"{op} {result}: shrunk to {json.dumps(small)}")
    return tried


def shrinks_to(arguments):
    """A fault that needs a stride of 2 or more on an axis, and reflection, keeps just these."""
    def needed(case):
        return case["stride"][0] >= 2 and case["modes"][0] == "reflect"

    perturb = two_bounds("y", needed)
    small = shrunk(arguments, caught(arguments, "conv", perturb, needed), perturb)
    expected = {"in": [1], "stride": [2], "modes": ["reflect"], "filter": [1], "dilation": [1]}
    if {key: small[key] for key in expected} != expected or not smallest(small):
        raise AssertionError(f"shrunk to {json.dumps(small)}")
    line = registry.OPS["conv"].line(small)
    if not line.endswith("@reflect") or "sw2" not in line:
        raise AssertionError(f"the shape line is {line}")


def border_maps():
    """index_map against the two that others wrote."""
    try:
        import numpy
    except ImportError:
        numpy = None
    names = {"reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}
    compared = 0
    for mode, theirs in names.items():
        for extent in range(1, 7):
            for before in range(8):
                for after in range(8):
                    mine = common.index_map(mode, extent, before, after)
                    if common.torch_pads(mode, extent, before, after):
                        line = torch.arange(extent, dtype=torch.float64)[None, None]
                        if F.pad(line, (before, after), mode=mode)[0, 0].tolist() != mine:
                            raise AssertionError(f"{mode} {extent} {before} {after}: F.pad differs from {mine}")
                        compared += 1
                    if numpy is not None:
                        if numpy.pad(numpy.arange(extent), (before, after), mode=theirs).tolist() != mine:
                            raise AssertionError(f"{mode} {extent} {before} {after}: NumPy differs from {mine}")
                        compared += 1
    return compared


def run(arguments, fails_of):
    arguments.fails_of = fails_of
    try:
        compared = border_maps()
        shrinks_to(arguments)
        tried = faults(arguments)
    except AssertionError as error:
        print(f"self-test FAILED: {error}", file=sys.stderr)
        return 1
    print(f"self-test: {tried} faults noticed and shrunk, {compared} index maps as others have them", file=sys.stderr)
    print(json.dumps({"faults": tried, "maps": compared, "failed": 0}))
    return 0
