#!/usr/bin/env bash
# Installs what the build needs, on Debian and Ubuntu. Does nothing when all of it is there.
set -euo pipefail

packages=(g++ cmake ninja-build libturbojpeg0-dev libstb-dev libyaml-cpp-dev catch2 nlohmann-json3-dev libbenchmark-dev)

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "This is not Debian or Ubuntu. Please install what these packages hold:" >&2
  echo "  ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Not root, and there is no sudo. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  root=(sudo)
fi
echo "Installing ${missing[*]}"
# An old list of packages names files that are gone; a list that cannot be renewed may still be good enough.
"${root[@]}" apt-get update -qq || echo "The list of packages could not be renewed; trying with the one that is there." >&2
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
