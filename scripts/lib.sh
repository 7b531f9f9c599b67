# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ISOBIT_ROOT=$root

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' red='' plain=''
fi

say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
warn() { printf '%swarning:%s %s\n' "$bold" "$plain" "$*" >&2; }

# die WHAT [NEXT...]: what went wrong, then what to do about it, a line each.
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
  shift
  local line
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# The comment at a script's head, from its second line on, is its --help.
show_help() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$1"; }

usage_error() {
  printf '%s: %s\nTry: %s --help\n' "${0##*/}" "$1" "$0" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# ---- packages

# Debian 12's names. What the library, its program and its tests need; then the options of scripts/setup.
# shellcheck disable=SC2034  # read by scripts/setup
packages_base=(
  g++ cmake ninja-build
  libfmt-dev libhwy-dev zlib1g-dev libpng-dev libjpeg-dev libssl-dev nlohmann-json3-dev libcli11-dev
  libgtest-dev libgmock-dev libmpfr-dev
  dataset-fashion-mnist
  libonnx-dev libprotobuf-dev libonnx-testdata
)
# shellcheck disable=SC2034
packages_fuzz=(clang libclang-rt-14-dev)
# shellcheck disable=SC2034
packages_lint=(clang-format clang-tidy shellcheck)
# shellcheck disable=SC2034
packages_fresh=(debootstrap)
# shellcheck disable=SC2034
packages_python=(python3 python3-dev python3-venv)
# shellcheck disable=SC2034
packages_peers=(libdnnl-dev libopenblas-dev)

# Those of the named packages that are not installed, a line each.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | sort -u) || true
  comm -13 <(printf '%s\n' "$installed") <(printf '%s\n' "$@" | sort -u)
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

# ---- building

# Compilations at once: one a processor, as long as each has 1.5 GiB of the memory that is free for us.
jobs() {
  local processors memory limit
  processors=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo 2>/dev/null || echo 4096)
  if [[ -r /sys/fs/cgroup/memory.max ]]; then
    limit=$(</sys/fs/cgroup/memory.max)
    if [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1048576 < memory)); then memory=$((limit / 1048576)); fi
  fi
  local fit=$((memory / 1536))
  if ((fit < 1)); then fit=1; fi
  echo $((fit < processors ? fit : processors))
}

# configure_build DIR [CMAKE ARGUMENT...]: quiet unless it fails; nothing when DIR is configured the same already.
configure_build() {
  local dir=$1
  shift
  local -a arguments=("$@")
  if has ccache; then
    arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
    export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root}
  fi
  local onednn=$root/build/onednn  # of scripts/setup --onednn3
  if [[ ! -e $onednn/complete ]]; then onednn=; fi
  arguments+=(-DISOBIT_ONEDNN="$onednn")
  if has ld.lld; then
    arguments+=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld -DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=lld)
  fi
  local stamp=$dir/configured-with log=$dir/configure.log
  local key
  key="$root ${arguments[*]} $(cksum <"$root/CMakePresets.json")"
  if [[ -e $dir/build.ninja && -e $stamp && $(<"$stamp") == "$key" ]]; then return; fi
  mkdir -p "$dir"
  say "configuring ${dir#"$root"/}"
  if ! (cd "$root" && cmake "${arguments[@]}") >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die "cmake could not configure ${dir#"$root"/}" "The whole output: $log" \
      "A package missing? scripts/setup installs all of them. A stale folder? rm -r '$dir' and try again."
  fi
  printf '%s' "$key" >"$stamp"
}

# ninja_build DIR [TARGET...]
ninja_build() {
  local dir=$1
  shift
  if has ccache; then export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root}; fi
  export NINJA_STATUS='[%f/%t %es] '
  ninja -C "$dir" -j "$(jobs)" "$@" >&2 ||
    die "the build in ${dir#"$root"/} failed" "The first error is above." \
      "Killed for lack of memory? Try: CMAKE_BUILD_PARALLEL_LEVEL=1 ninja -C '$dir' -j 1"
}

# The library as a shared one, and the program, at -O1: in build/shared.
build_shared_library() {
  configure_build "$root/build/shared" --preset release -B "$root/build/shared" -DBUILD_SHARED_LIBS=ON \
    -DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' -DISOBIT_TESTS=OFF -DISOBIT_BENCHMARKS=OFF -DISOBIT_SIMT=OFF
  ninja_build "$root/build/shared"
}

# small_data DIR TRAIN TEST: the first samples of Fashion-MNIST in DIR, as plain IDX files: quick to read and to judge.
small_data() {
  mkdir -p "$1"
  local full=/usr/share/datasets/fashion-mnist kind set count header each file
  for kind in images-idx3 labels-idx1; do
    for set in train t10k; do
      if [[ $set == train ]]; then count=$2; else count=$3; fi
      if [[ $kind == images* ]]; then header=16 each=784; else header=8 each=1; fi
      file=$1/$set-$kind-ubyte
      {
        gzip -dc "$full/$set-$kind-ubyte.gz" | head -c 4
        # shellcheck disable=SC2059  # the number of samples as four bytes, the highest first
        printf "$(printf '\\x%02x' $((count >> 24 & 255)) $((count >> 16 & 255)) $((count >> 8 & 255)) $((count & 255)))"
        gzip -dc "$full/$set-$kind-ubyte.gz" | head -c "$header" | tail -c +9
        gzip -dc "$full/$set-$kind-ubyte.gz" | tail -c +$((header + 1)) | head -c $((count * each))
      } 2>/dev/null >"$file" || true # head ends before gzip does
      [[ $(stat -c %s "$file") == $((header + count * each)) ]] || die "$file could not be made from $full"
    done
  done
}

# ---- steps with a table of where the time went

step_names=()
step_seconds=()
step_results=()
passed=0
failed=0

# step NAME COMMAND...: runs it, times it, remembers how it ended; never stops the script. (Not to be called in a
# condition: there the shell would ignore a command of a function that fails.) A line "PASSED FAILED" that the command
# appends to the file $ISOBIT_COUNTS joins the total.
step() {
  local name=$1 start=$SECONDS status
  shift
  say "${bold}$name${plain}"
  ISOBIT_COUNTS=$(mktemp)
  export ISOBIT_COUNTS
  set +e
  (
    set -euo pipefail
    "$@"
  )
  status=$?
  set -e
  local p f
  while read -r p f; do
    passed=$((passed + p))
    failed=$((failed + f))
  done <"$ISOBIT_COUNTS"
  rm -f "$ISOBIT_COUNTS"
  unset ISOBIT_COUNTS
  step_names+=("$name")
  step_seconds+=($((SECONDS - start)))
  if ((status == 0)); then
    step_results+=(passed)
    passed=$((passed + 1))
  else
    step_results+=("FAILED ($status)")
    failed=$((failed + 1))
    warn "$name failed with status $status"
  fi
}

# The table, the total as the last line; the status of the whole.
finish_steps() {
  local i total=0
  printf '\n%-44s %10s  %s\n' 'where the time went' 'm:ss' 'result'
  for i in "${!step_names[@]}"; do
    printf '%-44s %7d:%02d  %s\n' "${step_names[i]}" $((step_seconds[i] / 60)) $((step_seconds[i] % 60)) \
      "${step_results[i]}"
    total=$((total + step_seconds[i]))
  done
  printf '%-44s %7d:%02d\n\n' total $((total / 60)) $((total % 60))
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

# Adds what GoogleTest reported in a log ("[  PASSED  ] 12 tests.") to the step's counts.
count_tests() {
  awk '/^([0-9]+: )?\[  PASSED  \] [0-9]+ tests?\./ {for (i = 1; i <= NF; ++i) if ($i == "PASSED") p += $(i + 2)}
       /^([0-9]+: )?\[  FAILED  \] [0-9]+ tests?, listed below/ {for (i = 1; i <= NF; ++i) if ($i == "FAILED") f += $(i + 2)}
       END {print p + 0, f + 0}' "$1" | tee -a "${ISOBIT_COUNTS:-/dev/null}" | {
    read -r p f
    say "$p tests passed, $f failed"
  }
}

# run_tests DIR [FILTER]: all tests of a build, or those that a GoogleTest filter ('*Conv*:Pool*') chooses.
run_tests() {
  local dir=$1 filter=${2:-} log=$1/tests.log status=0 program
  if [[ -z $filter ]]; then
    set +e
    ctest --test-dir "$dir" --output-on-failure --no-tests=error --timeout "${ISOBIT_TEST_TIMEOUT:-1800}" -j "$(jobs)"
    status=$?
    set -e
    count_tests "$dir/Testing/Temporary/LastTest.log"
    return "$status"
  fi
  : >"$log"
  for program in "$dir"/tests/*_tests "$dir"/tests/*/*_tests; do
    if [[ ! -x $program || -z $("$program" --gtest_list_tests --gtest_filter="$filter") ]]; then continue; fi
    (cd "$dir/tests" && "$program" --gtest_brief=1 --gtest_filter="$filter") 2>&1 | tee -a "$log" || status=1
  done
  [[ -s $log ]] || die "no test matches '$filter'"
  count_tests "$log"
  return "$status"
}

# The tree's files, relative to its root: what git tracks, or all but build/ where there is no git.
source_files() {
  (cd "$root" && { git ls-files 2>/dev/null || find . -path ./build -prune -o -type f -printf '%P\n'; } | sort -u)
}

# ---- the virtual GPU

# A libcudart that executes on the CPU what nvcc made: where its sources lie beside the repository it is built, once, into
# build/virtual-gpu, and the folder is printed. Fails where there are no sources.
virtual_gpu() {
  local sources=$root/../shared/tools/ptxsim out=$root/build/virtual-gpu
  [[ -x $sources/build ]] || return 1
  if [[ ! -e $out/libcudart.so.13 || $sources/exec.cc -nt $out/libcudart.so.13 || $sources/rt.cc -nt $out/libcudart.so.13 ]]; then
    if [[ -n $(missing_packages libzstd-dev) ]]; then as_root apt-get install -y -qq libzstd-dev >/dev/null; fi
    "$sources/build" "$out" >&2
  fi
  printf '%s\n' "$out"
}

# nvcc, by PATH or where the toolkit puts itself; fails where there is none.
find_nvcc() {
  if [[ -n ${CUDACXX:-} ]]; then
    printf '%s\n' "$CUDACXX"
  elif has nvcc; then
    command -v nvcc
  else
    [[ -x /usr/local/cuda/bin/nvcc ]] && printf '%s\n' /usr/local/cuda/bin/nvcc
  fi
}
