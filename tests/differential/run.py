"""The driver of the differential test: draws cases, has isobit and PyTorch compute them, compares, shrinks what fails.
scripts/differential starts it and says what the options mean."""
import argparse
import collections
import json
import multiprocessing
import os
import sys
import time

import torch

import check
import registry
import self_test
import shrink

CHUNK = 100  # cases of one run of the program
SHOWN = 10  # failures that are shrunk

torch.set_num_threads(1)


def tell(text):
    print(text, file=sys.stderr, flush=True)


def run_chunk(work):
    program, device, seed, ops, indices = work
    cases = [registry.draw(seed, i, ops) for i in indices]
    return list(zip(indices, cases, check.judge(program, device, cases)))


def repeat_command(arguments, case):
    text = json.dumps(case, separators=(",", ":"))
    return f"scripts/differential --device {arguments.device} --case '{text}'"


def shape_line(case, name):
    """The case as a line for tests/shapes, if the grammar has the words."""
    line = registry.OPS[case["op"]].line(case)
    return line and f'{line}n"{name}"'


def refusal(wrong):
    return wrong.startswith("is ") or wrong.startswith("its ")


def fails_of(arguments, perturb=None, like=None):
    """Which of some cases fail; those that cannot even be drawn do not. like: what is wrong with the first case: a refusal
    does not stand for a wrong number."""
    def failing(cases):
        expected = {}
        for i, case in enumerate(cases):
            try:
                expected[i] = check.Expectation(case)
            except Exception:  # noqa: BLE001  a step too far: extents that contradict each other
                continue
        verdicts = check.judge_expected(arguments.program, arguments.device, list(expected.values()), perturb)
        wrong = {i for i, verdict in zip(expected, verdicts)
                 if verdict[0] and (like is None or refusal(verdict[0]) == refusal(like))}
        return [i in wrong for i in range(len(cases))]
    return failing


def explain(arguments, name, case, wrong):
    """Prints a failure, shrunk."""
    tell(f"\nFAILED {name}: {case['op']}: {wrong}")
    smallest = shrink.shrink(case, fails_of(arguments, like=wrong))
    wrong = check.judge(arguments.program, arguments.device, [smallest])[0][0] or wrong
    print(f"smallest: {smallest['op']}: {wrong}")
    line = shape_line(smallest, name)
    if line:
        print(f"  for tests/shapes: {line}")
    print(f"  again: {repeat_command(arguments, smallest)}", flush=True)


class Tally:
    def __init__(self):
        self.cases = self.refused = self.failed = 0
        self.failures = collections.Counter()  # of PyTorch
        self.by_op = collections.defaultdict(lambda: [0, 0, 0, 0.0])  # cases, refused, failed, share

    def add(self, case, verdict):
        wrong, refused, share, failure = verdict
        if failure:
            self.failures[f"{case['op']}: {failure.splitlines()[0][:90]}"] += 1
        row = self.by_op[case["op"]]
        self.cases += 1
        row[0] += 1
        self.refused += refused
        row[1] += refused
        self.failed += wrong is not None
        row[2] += wrong is not None
        row[3] = max(row[3], share)

    def table(self):
        tell(f"{'op':28} {'cases':>7} {'refused':>8} {'failed':>7}  largest error, as a share of its bound")
        for op, (cases, refused, failed, share) in sorted(self.by_op.items()):
            tell(f"{op:28} {cases:7} {refused:8} {failed:7}  {share:.2f}")
        for what, count in self.failures.items():
            tell(f"{count} times PyTorch had no derivative, which was taken from the formula: {what}")


def chunks(arguments, ops):
    for start in range(0, arguments.count, CHUNK):
        indices = range(start, min(start + CHUNK, arguments.count))
        yield arguments.program, arguments.device, arguments.seed, ops, indices


def run(arguments, ops):
    tally, failures, start, told = Tally(), [], time.time(), time.time()
    tell(f"{arguments.count} configurations of {len(ops)} ops by seed {arguments.seed} on {arguments.device}, "
         f"PyTorch {torch.__version__}")
    with multiprocessing.Pool(arguments.jobs) as pool:
        for chunk in pool.imap(run_chunk, chunks(arguments, ops)):
            for index, case, verdict in chunk:
                tally.add(case, verdict)
                if verdict[0] is not None:
                    failures.append((index, case, verdict[0]))
                    tell(f"  case {index} failed: {case['op']}: {verdict[0]}")
            if time.time() - told > 10:
                told = time.time()
                tell(f"  {tally.cases} of {arguments.count}, {tally.failed} failed, {told - start:.0f} s")
    seen = set()
    for index, case, wrong in failures:
        # One of each op and kind of message first; the same fault has many faces.
        kind = (case["op"], wrong.partition(" ")[0].partition("[")[0])
        if kind in seen or len(seen) == SHOWN:
            continue
        seen.add(kind)
        explain(arguments, f"differential_{arguments.seed}_{index}", case, wrong)
    if failures:
        indices = ", ".join(str(index) for index, _, _ in failures[:20])
        tell(f"failed: {indices}{', ...' if len(failures) > 20 else ''}; one again: scripts/differential "
             f"--device {arguments.device} --seed {arguments.seed}{' --ops ' + arguments.ops if arguments.ops else ''} "
             "--only INDEX")
    tally.table()
    tell(f"{time.time() - start:.0f} s")
    return tally


def main():
    parser = argparse.ArgumentParser(prog="scripts/differential")
    parser.add_argument("--program", required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--ops", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", type=int)
    parser.add_argument("--case")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    ops = arguments.ops.split(",") if arguments.ops else list(registry.OPS)
    unknown = [op for op in ops if op not in registry.OPS]
    if unknown or arguments.count < 1 or arguments.jobs < 1:
        parser.error(f"no op {', '.join(unknown)}; there are {', '.join(registry.OPS)}" if unknown else
                     "--count and --jobs must be positive")
    os.environ["ISOBIT_THREADS"] = os.environ.get("ISOBIT_THREADS", "1")
    if arguments.self_test:
        return self_test.run(arguments, fails_of)
    if arguments.case or arguments.only is not None:
        case = json.loads(arguments.case) if arguments.case else registry.draw(arguments.seed, arguments.only, ops)
        tally = Tally()
        verdict = check.judge(arguments.program, arguments.device, [case])[0]
        tally.add(case, verdict)
        if verdict[0]:
            explain(arguments, "differential", case, verdict[0])
        else:
            tell(f"{json.dumps(case)}: {'both refuse it' if verdict[1] else 'passed'}")
    else:
        tally = run(arguments, ops)
    print(json.dumps({"cases": tally.cases, "failed": tally.failed, "refused": tally.refused, "seed": arguments.seed}))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
