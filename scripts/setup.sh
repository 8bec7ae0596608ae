#!/bin/sh
# Makes or refreshes .venv from the lock files: `sh scripts/setup.sh runtime|dev`, with PYTHON naming the interpreter.
# Does nothing when the lock files, pyproject.toml and the place of the checkout are those of last time.
set -eu

set_name=$1
python=${PYTHON:-python3}
stamp=.venv/.tachograph-setup
key=$(cat pyproject.toml requirements*.lock scripts/setup.sh | cksum)
place=$(pwd -P)

say() { printf '%s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}
is_recent_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
stamped() { [ -f "$stamp" ] && sed -n "$1p" "$stamp"; }

# The environment for development holds all that the product needs, and serves both.
if [ "$(stamped 2)" = "$key" ] && [ "$(stamped 3)" = "$place" ] && [ -x .venv/bin/tacho ]; then
    case "$(stamped 1)" in dev | "$set_name") exit 0 ;; esac
fi

# Scripts in bin/ name the interpreter's full path: a checkout that has moved needs a new environment.
if [ -f "$stamp" ] && [ "$(stamped 3)" != "$place" ]; then rm -rf .venv; fi
if ! { is_recent_python .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; }; then
    is_recent_python "$python" ||
        fail "'$python' is missing or older than Python 3.11; name a newer one: make setup PYTHON=python3.12"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$python' comes without venv; on Debian and Ubuntu: apt-get install python3-venv"
    say "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

install() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input "$@"
}

case "$set_name" in
runtime) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) fail "unknown set '$set_name': runtime or dev" ;;
esac
say "Installing $lock (chdb-core alone is 181 MB)"
rm -f "$stamp"
# First what builds, so that source distributions are built by locked versions, too; each lock file is complete, hence --no-deps.
install --require-hashes --no-deps -r requirements-build.lock
install --require-hashes --no-deps --no-build-isolation -r "$lock"
install --no-deps --no-build-isolation -e .
printf '%s\n' "$set_name" "$key" "$place" >"$stamp"
say "Ready: .venv/bin/tacho"
