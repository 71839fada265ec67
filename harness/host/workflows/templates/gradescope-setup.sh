#!/usr/bin/env bash
# Made by `harness ci gradescope --assignment @ID@`. Gradescope runs it once, while it makes the image.
set -euo pipefail

home=${AUTOGRADER:-/autograder}

new_enough() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in python3.11 python3.12 python3.13 python3; do
  if new_enough "$candidate"; then
    python=$candidate
    break
  fi
done
if [[ -z $python ]]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends software-properties-common libseccomp2
  add-apt-repository -y ppa:deadsnakes/ppa
  apt-get install -y --no-install-recommends python3.11 python3.11-venv
  python=python3.11
fi

"$python" -m venv "$home/harness"
# Here `export PIP_EXTRA_INDEX_URL=...` can name an index with a torch for CPUs alone, which is much smaller.
"$home/harness/bin/pip" install --no-compile --no-cache-dir \
  --constraint "$home/source/constraints.txt" "$home"/source/packages/harness-*.whl

# Each submission gets a new copy of this container: what its first run would prepare is prepared here.
"$home/harness/bin/harness" runtime

# What is in the bundle is nobody's but the autograder's.
chmod -R go= "$home/source"
