"""Finds what can be mutated in the code that runs on a device, and writes a copy of the kernels that holds every mutant.

Mutated are, in functions that are __global__, __device__ or HOST_DEVICE:
  comparisons  < <= > >=, one further, one less far, and (outside of the heads of loops) not looked at
  guards       a term of an if without else that holds no such comparison, dropped
  barriers     __syncthreads(), __syncwarp(...), deleted
  waits        async_wait<N>() deleted, and waiting for one group less; async_commit() deleted
  atomics      atomicAdd as a plain addition
A loop in steps of several is not shortened by one, for its extent is a multiple of them. A smaller of two, written `a < b ? a : b`, is not moved by one towards the equality, which changes nothing.
"""
import hashlib
import re
from collections import Counter
from dataclasses import dataclass

COMPARISON = re.compile(r'\s(<=|>=|<|>)\s')
KIND = {'<': 'Less', '<=': 'LessEqual', '>': 'Greater', '>=': 'GreaterEqual'}
MOVED = {'<': '<=', '<=': '<= 1 +', '>': '>=', '>=': '>= -1 +'}  # one further
LESS = {'<': '< -1 +', '<=': '<', '>': '> 1 +', '>=': '>'}  # one less far
CALL = re.compile(r'\b(__syncthreads|__syncwarp|async_commit|async_wait<\s*(\d+)\s*>)\s*\(')
LEAVES = re.compile(r'\s*\{?\s*(continue|return|break)\b')


@dataclass
class Mutant:
    id: int
    place: int  # the id that is recorded when the place is reached
    file: str
    line: int
    what: str  # '< becomes <='
    text: str  # the line

    @property
    def key(self):
        return f'{self.file}: {self.what}: {self.text}'


def blank(text):
    """Comments, strings and preprocessor lines as blanks, every character at its place."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#[^\n]*', re.S | re.M)
    return pattern.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)


def closing(text, at):
    """The place of what closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in '([{') - (text[i] in ')]}')
        if depth == 0:
            return i
    raise ValueError('a bracket is never closed')


def device_bodies(text):
    """(begin, end) of the bodies of functions that run on a device."""
    found, at = [], 0
    while (at := text.find('{', at)) >= 0:
        head = text[max(text.rfind(c, 0, at) for c in ';{}') + 1:at]
        if re.search(r'\b(__global__|__device__|HOST_DEVICE)\b', head) and '(' in head:
            end = closing(text, at)
            found.append((at, end))
            at = end
        at += 1
    return found


def statement(text, at):
    """Where the statement, or the part of a for's head, that holds `at` begins."""
    return max(text.rfind(c, 0, at) for c in ';{}') + 1


def is_in_loop_head(text, begin, at):
    """Whether `at` lies in the brackets of a for or a while."""
    depth = 0
    for i in range(at, begin, -1):
        depth += (text[i] == ')') - (text[i] == '(')
        if depth < 0:
            if re.search(r'\b(for|while)\s*$', text[max(begin, i - 8):i]):
                return True
            depth = 0
    return False


def is_smaller_of_two(text, at, end):
    """Whether the comparison at `at` is that of `a < b ? a : b`, or with any other of the four."""
    line = text[text.rfind('\n', 0, at):at]
    if re.search(r'\bT a\b', line):
        return False  # equal numbers may be zeros of two signs
    left = re.search(r'(?:=|return|\(|,|\?|:)\s+((?:(?!\s[=?:]\s|return).)*)$', text[statement(text, at):at], re.S)
    left = left.group(1) if left else text[statement(text, at):at]
    right = re.match(r'(.*?)\s\?\s(.*?)\s:\s(.*?)(?=[;,]|\)?$)', text[end:], re.S)
    if right is None or ';' in right.group(0):
        return False

    def plain(part):
        part = re.sub(r'\s+|static_cast<[^>]*>', '', part).rstrip(';')
        while part.startswith('(') and part.endswith(')') and closing(part, 0) == len(part) - 1:
            part = part[1:-1]
        return part.lstrip('(') if part.count('(') > part.count(')') else part
    a, b, c, d = plain(left), *(plain(part) for part in right.groups())
    return {a, b} == {c, d} or {a, b} == {c, d.rstrip(')')}


def top_level_terms(text, begin, end, operator):
    """The terms of text[begin:end] between `operator` outside of brackets: (begin, end)."""
    terms, depth, start, i = [], 0, begin, begin
    while i < end:
        depth += (text[i] in '([{') - (text[i] in ')]}')
        if depth == 0 and text.startswith(operator, i):
            terms.append((start, i))
            i += 2
            start = i
            continue
        i += 1
    return terms + [(start, end)]


def stamps(sources):
    """Of each file, a digest of what the results of its mutants depend on: the units (.cu) that it is part of, whole.

    sources: {name: text} of cuda/kernels.
    """
    def parts(name, found):
        if name in sources and name not in found:
            found.add(name)
            for held in re.findall(r'#include "cuda/kernels/([^"]+)"', sources[name]):
                parts(held, found)
        return found

    wholes = [parts(name, set()) for name in sources if name.endswith('.cu')]
    result = {}
    for name in sources:
        around = set().union({name}, *(whole for whole in wholes if name in whole))
        result[name] = hashlib.sha256('\0'.join(f'{n}\0{sources[n]}' for n in sorted(around)).encode()).hexdigest()[:16]
    return result


def titles(mutants):
    """{id: name}: what a mutant is called in the files of results, whatever stands in other files: its key, numbered."""
    seen, result = Counter(), {}
    for m in mutants:
        seen[m.key] += 1
        result[m.id] = f'{m.key} #{seen[m.key]}'
    return result


class Generator:
    def __init__(self):
        self.mutants = []

    def file(self, name, source):
        """The source with its mutants."""
        text, edits, lines = blank(source), [], source.split('\n')

        def add(at, whats):
            first = len(self.mutants) + 1
            line = source.count('\n', 0, at)
            for i, what in enumerate(whats):
                self.mutants.append(Mutant(first + i, first, name, line + 1, what, ' '.join(lines[line].split())))
            return first

        for begin, end in device_bodies(text):
            self.comparisons(text, begin, end, add, edits)
            self.guards(text, begin, end, add, edits)
            self.calls(text, begin, end, add, edits)
        out = source
        for at, until, new in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
            out = out[:at] + new + out[until:]
        return out

    def comparisons(self, text, begin, end, add, edits):
        for m in COMPARISON.finditer(text, begin, end):
            start = statement(text, m.start())
            if re.search(r'\b(constexpr|static_assert|requires)\b', text[start:m.start()]):
                continue
            op, at = m.group(1), m.start(1)
            whats = [f'{op} becomes {MOVED[op]}', f'{op} becomes {LESS[op]}', f'{op} dropped']
            first = add(at, whats)
            leave_out = []
            if is_in_loop_head(text, begin, at):
                leave_out.append(first + 2)
            if re.match(r'[^;()]*;[^;]*\+= [2-9]\d*\)', text[m.end(1):]):
                leave_out.append(first + 1 if op in '<>' else first)
            if is_smaller_of_two(text, at, m.end(1)):
                leave_out += [first if op in '<>' else first + 1, first + 2]
            for mutant in self.mutants[first - 1:]:
                if mutant.id in leave_out:
                    mutant.what = ''
            edits.append((at, m.end(1), f'<= isobit_mutant::{KIND[op]}{{{first}}} >='))

    def guards(self, text, begin, end, add, edits):
        for m in re.finditer(r'\bif\s*\(', text[begin:end]):
            opened = begin + m.end() - 1
            closed = closing(text, opened)
            leaves = LEAVES.match(text, closed + 1)
            after = text.find(';', closed) if text[closed + 1:].lstrip()[:1] != '{' else closing(
                text, text.index('{', closed))
            if re.match(r'\s*else\b', text[after + 1:]):
                continue
            for a, b in top_level_terms(text, opened + 1, closed, '||' if leaves else '&&'):
                if COMPARISON.search(text, a, b) or text[a:b].strip() in ('', 'true', 'false'):
                    continue
                id = add(a + len(text[a:b]) - len(text[a:b].lstrip()), ['guard dropped'])
                edits.append((a, a, f'(!isobit_mutant::is({id}) && (' if leaves else f'(isobit_mutant::is({id}) || ('))
                edits.append((b, b, '))'))

    def calls(self, text, begin, end, add, edits):
        for m in CALL.finditer(text, begin, end):
            name = m.group(1)
            if name.startswith('async_wait'):
                id = add(m.start(), [f'{name} deleted', f'{name} waits for one group less'])
                later = f'async_wait<{int(m.group(2)) + 1}>'
                edits.append((m.start(), m.start(), f'if (isobit_mutant::is({id + 1})) {later}(); '
                              f'else if (!isobit_mutant::is({id})) '))
            else:
                id = add(m.start(), [f'{name} deleted'])
                edits.append((m.start(), m.start(), f'if (!isobit_mutant::is({id})) '))
        for m in re.finditer(r'\batomicAdd\s*\(', text[begin:end]):
            id = add(begin + m.start(), ['atomicAdd made plain'])
            edits.append((begin + m.start(), begin + m.end(),
                          f'isobit_mutant::add({id}, [](auto* at, auto value) {{ return atomicAdd(at, value); }}, '))
