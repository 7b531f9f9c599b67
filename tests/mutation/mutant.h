// What tests/mutation/mutate writes into its copy of the kernels: all mutants of a file are in one program,
// and ISOBIT_MUTANT chooses the one that is alive. Included before anything else of every mutated file.
//
//   i < n                    becomes   i <= isobit_mutant::Less{17} >= n       mutants 17, 18 and 19
//   __syncthreads();         becomes   if (!isobit_mutant::is(20)) __syncthreads();
//
// The detour over two other operators keeps the precedence, so that operands need not be found in the text.
#pragma once

namespace isobit_mutant {

inline constexpr int kMost = 1 << 14;

#ifdef __SANITIZE_THREAD__
// Traced kernels may not write a variable of the host; what was reached is known already.
int chosen();
inline int alive(int) {
  return chosen();
}
#else
extern int active;
extern unsigned char reached[kMost];  // by the first mutant of a place
[[gnu::always_inline]] inline int alive(int first) {
  reached[first] = 1;
  return active;
}
#endif

[[gnu::always_inline]] inline bool is(int id) {
  return alive(id) == id;
}

/// Mutants of a comparison: +0 lets one more in, +1 one less, +2 does not look (a bound that is dropped lets
/// everything in; one that turns away, a > or >=, turns nothing away).
struct Less {
  int first;
};
struct LessEqual {
  int first;
};
struct Greater {
  int first;
};
struct GreaterEqual {
  int first;
};
template <class A, class Kind>
struct Left {
  A a;
  Kind kind;
};

template <class A>
[[gnu::always_inline]] inline Left<A, Less> operator<=(A a, Less kind) {
  return {a, kind};
}
template <class A>
[[gnu::always_inline]] inline Left<A, LessEqual> operator<=(A a, LessEqual kind) {
  return {a, kind};
}
template <class A>
[[gnu::always_inline]] inline Left<A, Greater> operator<=(A a, Greater kind) {
  return {a, kind};
}
template <class A>
[[gnu::always_inline]] inline Left<A, GreaterEqual> operator<=(A a, GreaterEqual kind) {
  return {a, kind};
}

template <class A, class B>
[[gnu::always_inline]] inline bool operator>=(Left<A, Less> left, B b) {
  const int which = alive(left.kind.first) - left.kind.first;
  if (which == 0) return left.a <= b;
  if (which == 1) return left.a + 1 < b;
  return which == 2 || left.a < b;
}
template <class A, class B>
[[gnu::always_inline]] inline bool operator>=(Left<A, LessEqual> left, B b) {
  const int which = alive(left.kind.first) - left.kind.first;
  if (which == 0) return left.a <= b + 1;
  if (which == 1) return left.a < b;
  return which == 2 || left.a <= b;
}
template <class A, class B>
[[gnu::always_inline]] inline bool operator>=(Left<A, Greater> left, B b) {
  const int which = alive(left.kind.first) - left.kind.first;
  if (which == 0) return left.a >= b;
  if (which == 1) return left.a > b + 1;
  return which != 2 && left.a > b;
}
template <class A, class B>
[[gnu::always_inline]] inline bool operator>=(Left<A, GreaterEqual> left, B b) {
  const int which = alive(left.kind.first) - left.kind.first;
  if (which == 0) return left.a + 1 >= b;
  if (which == 1) return left.a > b;
  return which != 2 && left.a >= b;
}

/// An atomic addition that is none.
template <class T, class Atomic>
[[gnu::always_inline]] inline T add(int id, Atomic atomic, T* at, T value) {
  if (!is(id)) return atomic(at, value);
  const T old = *at;
  *at = old + value;
  return old;
}

}  // namespace isobit_mutant
