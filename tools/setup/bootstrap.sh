#!/bin/sh
# Runs the set-up with a Python of version 3.11 or later, installing Debian's where there is none.
set -eu
cd "$(dirname "$0")/../.."

find_python() {
  for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
}

python=$(find_python)
if [ -z "$python" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "[set-up] installing Python"
  apt-get -o DPkg::Lock::Timeout=300 -qq update
  DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends install python3 >/dev/null
  python=$(find_python)
fi
if [ -z "$python" ]; then
  echo "The set-up needs Python 3.11 or later as python3 (or PYTHON=/path/to/python)." >&2
  exit 1
fi
exec "$python" -B tools/setup "$@"
