"""Reads machine code as nvdisasm -c prints it: functions, instructions, loops, and what the hot loop is made of.

A loop is a natural one: a branch backwards to a block that dominates it, and all blocks from which that branch is reached
without passing its head, wherever ptxas has put them. Its instructions are those of no loop inside it. The hot loop of a
kernel is the one with the most multiply-adds, of equal ones the innermost; without any, the innermost that touches memory.
"""
import re
from collections import Counter
from dataclasses import dataclass, field

LABEL = re.compile(r"^\s*(\.L_[\w$]+):")
SECTION = re.compile(r"^\s*\.section\s+\.text\.([\w$.]+)")
CODE = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:(@!?U?P[T\d]+)\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);")
TARGET = re.compile(r"`\((\.L_[\w$]+)\)")

# One issue slot each; FFMA2 does two multiply-adds in its slot.
# (HFMA2 is left out: ptxas loads constants with it.)
MULTIPLY_ADDS = {"FFMA": "ffma", "FFMA2": "ffma", "DFMA": "dfma", "HMMA": "mma", "IMMA": "mma", "DMMA": "mma", "HGMMA": "mma",
                 "QGMMA": "mma"}
MEMORY = ("LDG", "STG", "LDS", "STS", "LDSM", "LDGSTS", "LDL", "STL")


@dataclass
class Instruction:
    opcode: str  # with its parts: LDG.E.128
    operands: str
    guarded: bool
    labels: list = field(default_factory=list)

    @property
    def name(self):
        return self.opcode.split(".")[0]

    @property
    def bits(self):
        """Of a lane's access to memory."""
        for part in self.opcode.split(".")[1:]:
            if part in ("128", "64"):
                return int(part)
            if part in ("U8", "S8", "8"):
                return 8
            if part in ("U16", "S16", "16") and self.name != "LDSM":
                return 16
        return 32


def functions(text):
    """{name: [Instruction]} of all functions; a label is kept with the instruction behind it."""
    found, code, labels = {}, None, []
    for line in text.splitlines():
        if match := SECTION.match(line):
            code, labels = found.setdefault(match.group(1), []), []
        elif code is None:
            continue
        elif re.match(r"\s*\.section\s", line):
            code = None
        elif match := LABEL.match(line):
            labels.append(match.group(1))
        elif match := CODE.search(line):
            code.append(Instruction(match.group(2), match.group(3).strip(), match.group(1) is not None, labels))
            labels = []
    return found


def successors(code):
    """Of each instruction, which ones may be next. Calls of functions return; to a label of its own a kernel "calls" without
    return, ptxas' way out of some loops. An indirect branch is taken to end."""
    at = {label: i for i, instruction in enumerate(code) for label in instruction.labels}
    following = []
    for i, instruction in enumerate(code):
        target = TARGET.search(instruction.operands)
        falls = [i + 1] if i + 1 < len(code) else []
        if instruction.name in ("BRA", "JMP") or (instruction.name == "CALL" and target):
            # Conditional by a guard, or by a predicate among its operands.
            conditional = instruction.guarded or re.search(r"\bU?P\d", instruction.operands) is not None
            jump = [at[target.group(1)]] if target and target.group(1) in at else []
            following.append(jump + (falls if conditional else []))
        elif instruction.name in ("EXIT", "RET", "BRX", "JMX", "BPT") and not instruction.guarded:
            following.append([])
        else:
            following.append(falls)
    return following


def loops(code):
    """[(instructions, how many loops are around)] of every loop, the instructions of loops inside left out."""
    if not code:
        return []
    following = successors(code)
    # Blocks: the rest is quick on them.
    heads = {0} | {n for i, next_ones in enumerate(following) for n in next_ones if n != i + 1 or len(next_ones) != 1}
    heads |= {i + 1 for i, next_ones in enumerate(following) if next_ones != [i + 1] and i + 1 < len(code)}
    starts = sorted(heads)
    block_of, blocks = {}, []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(code)
        blocks.append(range(start, end))
        block_of.update((i, number) for i in blocks[-1])
    edges = [[block_of[n] for n in following[block[-1]]] for block in blocks]
    into = [[] for _ in blocks]
    for block, next_ones in enumerate(edges):
        for n in next_ones:
            into[n].append(block)

    order, seen, stack = [], {0}, [(0, iter(edges[0]))]
    while stack:
        block, rest = stack[-1]
        step = next((n for n in rest if n not in seen), None)
        if step is None:
            order.append(block)
            stack.pop()
        else:
            seen.add(step)
            stack.append((step, iter(edges[step])))
    order.reverse()
    place = {block: i for i, block in enumerate(order)}
    above = {0: 0}  # the immediate dominators, by Cooper, Harvey and Kennedy
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            new = None
            for p in into[block]:
                if p not in above:
                    continue
                while new is not None and new != p:
                    if place[new] > place[p]:
                        new = above[new]
                    else:
                        p = above[p]
                new = p
            if above.get(block) != new:
                above[block], changed = new, True

    def dominates(a, b):
        while b != a and b != 0:
            b = above[b]
        return a == b

    bodies = {}
    for block in order:
        for head in edges[block]:
            if not dominates(head, block):
                continue
            body, todo = bodies.setdefault(head, {head}), [block]
            while todo:
                b = todo.pop()
                if b not in body:
                    body.add(b)
                    todo += [p for p in into[b] if p in place]
    found = []
    for head, body in bodies.items():
        inside = set().union(*(other for h, other in bodies.items() if h != head and h in body and other < body), set())
        depth = sum(head in other and body < other for h, other in bodies.items() if h != head)
        found.append(({i for b in body - inside for i in blocks[b]}, depth))
    return found


def hot_loop(code):
    """What the hot loop issues, or None: slots, shares, {opcode: how many}, {access: {bits: how many}}."""
    best, most = None, (0, 0, 0)
    for body, depth in loops(code):
        names = Counter(code[i].name for i in body)
        memory = sum(names[n] for n in MEMORY)
        score = (sum(names[n] for n in MULTIPLY_ADDS), depth, memory)
        if score > most and (score[0] or memory):
            best, most = body, score
    if best is None:
        return None
    names = Counter(code[i].name for i in best)
    widths = {}
    for i in best:
        if code[i].name in MEMORY and code[i].operands != "RZ, [RZ]":  # ptxas puts three such between STS and LDGSTS
            widths.setdefault(code[i].name, Counter())[code[i].bits] += 1
    result = {"slots": len(best), "mix": dict(names.most_common()),
              "widths": {name: dict(sorted(bits.items())) for name, bits in sorted(widths.items())}}
    for name, kind in MULTIPLY_ADDS.items():
        if names[name]:
            result[f"{kind}_share"] = round(result.get(f"{kind}_share", 0) + names[name] / len(best), 4)
    return result
