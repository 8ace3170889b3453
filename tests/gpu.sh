#!/usr/bin/env bash
# Every check of the CUDA backend on a machine with a GPU, in one call:  tests/gpu.sh [build folder]
# Builds the device tests, runs them (each kernel against the CPU in float and bf16, guarded buffers, odd widths, shifted
# pointers; the layout of mma; training trajectories; the same bits twice), then under compute-sanitizer where it is there,
# then trains for three minutes. Prints a table; the exit code is 0 when everything passed.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/gpu}
train_seconds=${TRAIN_SECONDS:-180}
rows=()
failed=0

# step <name> <command...>: runs it, keeps its log, and notes result, seconds and the last line that counts something.
step() {
  local name=$1 log="$build/gpu_${1// /_}.log" begin=$SECONDS result=passed code
  shift
  "$@" > "$log" 2>&1
  code=$?
  [ $code -eq 0 ] || { result="FAILED ($code)"; failed=1; }
  local detail
  detail=$(grep -E 'assertions|test cases|ERROR SUMMARY|k-NN\(|img/s|as in the table' "$log" | tail -n 1 | tr '\r' '\n' | tail -n 1)
  rows+=("$(printf '%-34s %-12s %5d s  %s' "$name" "$result" $((SECONDS - begin)) "$detail")")
  [ $code -eq 0 ] || tail -n 40 "$log"
}

mkdir -p "$build"
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
step "configure" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDINO_CUDA=ON -DDINO_BUILD_BENCHMARKS=OFF
step "build" cmake --build "$build" --parallel --target dino_test_cuda dino_build_one_file dino_build_mixed dino_build_split \
  dino_pretrain dino_knn
step "registers and spills" ctest --test-dir "$build" -R build/resources --output-on-failure
step "builds B, C and D run" ctest --test-dir "$build" -R 'build/(one_file|mixed|split)' --output-on-failure
for file in tests/cuda/test_*.cpp; do
  name=$(basename "$file" .cpp)
  case $name in test_simt*) continue ;; esac
  step "$name" "$build/bin/dino_test_cuda" --filenames-as-tags "[#$name]~[.]"
done
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck; do
    step "compute-sanitizer $tool" timeout 100 compute-sanitizer --tool $tool --error-exitcode 9 "$build/bin/dino_test_cuda" '[tiny]~[.]'
  done
else
  rows+=("compute-sanitizer                  not found")
fi
data=${DINO_DATA:-synthetic}
step "dino_pretrain --device cuda" "$build/bin/dino_pretrain" --device cuda --data "$data" --time-limit "${train_seconds}s" \
  --out "$build/gpu_run" --overwrite

printf '\n%s\n' "${rows[@]}"
exit $failed
