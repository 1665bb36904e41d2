#!/usr/bin/env bash
# Runs Atelier's tests from a clean checkout: installs what is missing, builds, tests.
#
#   tests/run.sh          release build with every test, Clang's checked build with sanitizers, lint
#   tests/run.sh --all    also the long campaigns: leak and thread sanitizer, clang-tidy, repeated faults,
#                         packages and container in plain Debian systems, the other Debian release
set -euo pipefail
cd "$(dirname "$0")/.."

all=false
case "${1-}" in
  "") ;;
  --all) all=true ;;
  *) echo "run.sh: unknown argument '$1'; it takes --all" >&2; exit 1 ;;
esac

jobs=$(nproc)
started=$SECONDS
step() { printf '\n== %s (%d s since the start)\n' "$1" $((SECONDS - started)); }
# Builds quietly; shows the end of the log when that fails.
build() {
  local preset=$1 log=build/$1.log
  shift
  mkdir -p build
  if ! { cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" "$@"; } >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "run.sh: building the preset '$preset' failed; the whole log is $log" >&2
    exit 1
  fi
}

# The same beside the tests that follow, with what they leave of the processors: most of them wait. In a session of
# its own, because the scheduler weighs sessions against each other before it looks at their processes.
build_aside() {
  setsid bash -c "$(declare -f build); jobs=$jobs"'
    renice -n 19 $$ >/dev/null
    { echo 19 >/proc/self/autogroup; } 2>/dev/null || true
    build "$@"' build "$@" &
  aside=$!
  trap 'kill -- "-$aside" 2>/dev/null || true' EXIT
}

step "Packages"
deploy/install-deps.sh --deployment-tests

step "Release build"
build release

step "Unit tests"
ctest --test-dir build/release --output-on-failure -j "$jobs" --timeout 300

build_aside asan

step "Integration and fault tests: the real programs"
# Debian's own interpreter, whatever stands first in PATH: it has the packages.
/usr/bin/python3 -m pytest -q -rs tests/integration tests/faults

step "Engines: trainings on a Slurm and on a Kubernetes cluster that are started here"
/usr/bin/python3 -m pytest -q -rs tests/beyond -k "not faults"

step "Deployment: packages, container, manifests, rules, dashboards, man pages"
/usr/bin/python3 -m pytest -q tests/deploy

step "Address and undefined-behaviour sanitizers, Clang with thread-safety analysis as an error"
wait "$aside"
ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 UBSAN_OPTIONS=print_stacktrace=1 \
  ctest --test-dir build/asan --output-on-failure -j "$jobs" --timeout 600

step "Formatting and lint"
git ls-files '*.cc' '*.h' | xargs clang-format --dry-run --Werror
echo "clang-format: every file is formatted"
if command -v buf >/dev/null; then
  buf lint proto
  echo "buf lint: clean"
elif command -v npx >/dev/null && npx --yes @bufbuild/buf@1.75.0 --version >/dev/null 2>&1; then
  npx --yes @bufbuild/buf@1.75.0 lint proto
  echo "buf lint: clean"
else
  echo "buf lint: SKIPPED, buf is not installed and npm cannot fetch it"
fi

if $all; then
  step "Leak sanitizer, without what starts walled-in workers or leaves threads at work, and without trainings"
  ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0 \
    ctest --test-dir build/asan --output-on-failure -j "$jobs" --timeout 600 \
    -E '^(fuzz_rpcs|fuzz_events|models_training_test|worker_test)'
  step "Thread sanitizer on the code that links no gRPC"
  build tsan atelier_tsan_tests
  ctest --test-dir build/tsan --output-on-failure -j "$jobs" --timeout 600 -L tsan
  step "clang-tidy"
  build checked atelier_libraries
  git ls-files 'models/*.cc' 'server/*.cc' 'client/*.cc' |
    xargs -P "$jobs" -n 4 clang-tidy --quiet -p build/checked
  step "Packages and the Dockerfile's steps in plain Debian systems"
  ATELIER_SLOW_TESTS=1 /usr/bin/python3 -m pytest -q tests/deploy
  step "Faults, many times over"
  ATELIER_FAULT_ROUNDS=20 /usr/bin/python3 -m pytest -q tests/faults
  step "Engines, many faults"
  ATELIER_BEYOND_ROUNDS=30 /usr/bin/python3 -m pytest -q -rs tests/beyond -k faults
  step "The other Debian release"
  /usr/bin/python3 tests/other_release.py --all
fi

step "All passed"
