#!/bin/sh
# Runs a compiler and keeps what ptxas says about registers in <object>.ptxas:  keep_ptxas.sh nvcc ... -o <object>
object=
previous=
for word in "$@"; do
  [ "$previous" = -o ] && object=$word
  previous=$word
done
[ -n "$object" ] || exec "$@"
"$@" 2> "$object.ptxas"
status=$?
grep -v -e '^ptxas info' -e 'bytes stack frame' -e '^$' "$object.ptxas" >&2
exit $status
