#!/usr/bin/env bash
# Registers, shared memory and spills of every kernel, as ptxas reported them while the library dino_kernels was built,
# against the table beside this script.
#     resources.sh <folder of the objects> <version of nvcc> [--write]
# No kernel may spill or keep a stack. Other numbers are compared only for the version of nvcc that the table was made with.
set -euo pipefail
folder=$1
version=$2
table="$(dirname "$0")/resources.txt"

reports=$(find "$folder" -name '*.ptxas')
[ -n "$reports" ] || { echo "no reports of ptxas under $folder" >&2; exit 1; }

# One line a kernel: architecture, registers, static shared memory, stack, spilled bytes, name.
now=$(cat $reports | c++filt | awk '
  /Compiling entry function/ { split($0, part, "\047"); name = part[2]; arch = part[4] }
  /bytes stack frame/        { stack = $1; spill = $5 + $9 }
  /Used [0-9]+ registers/    { match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
                               shared = 0
                               if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH) + 0
                               gsub(/dino::v0_cuda::(kernels::)?(detail::)?/, "", name)
                               sub(/^void /, "", name)
                               sub(/\(.*$/, "", name)
                               printf "%-7s %4d %7d %6d %6d  %s\n", arch, registers, shared, stack, spill, name }' |
  LC_ALL=C sort -k6 -k1,1 | uniq)

if [ "${3:-}" = --write ]; then
  { echo "# nvcc $version"
    echo "# arch  regs  shared  stack  spill  kernel"
    echo "$now"; } > "$table"
fi

echo "$now"
echo "$(echo "$now" | wc -l) entries, most registers $(echo "$now" | awk '{ if ($2 > most) most = $2 } END { print most }')"
if echo "$now" | awk '$4 > 0 || $5 > 0 { bad = 1 } END { exit !bad }'; then
  echo "these kernels spill registers or keep a stack:" >&2
  echo "$now" | awk '$4 > 0 || $5 > 0' >&2
  exit 1
fi
if [ "$(head -n 1 "$table")" != "# nvcc $version" ]; then
  echo "the table was made with another compiler ($(head -n 1 "$table" | cut -c 3-)), this is nvcc $version: not compared"
  exit 0
fi
if ! difference=$(diff <(grep -v '^#' "$table") <(echo "$now")); then
  echo "not as in the table (< table, > now). If it is meant to be so: $0 $folder $version --write" >&2
  echo "$difference" >&2
  exit 1
fi
echo "as in the table"
