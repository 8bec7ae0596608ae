#!/bin/sh
# Builds what `make bench` needs and runs it: `sh scripts/bench.sh [OPTIONS OF bench.run]`. Needs Linux and a C compiler.
set -eu

place=build/bench
compiler=${CC:-cc}

fail() {
    printf 'bench: %s\n' "$*" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || fail "the load generator and the figures of processes are Linux's (epoll, /proc)"
command -v "$compiler" >/dev/null ||
    fail "no C compiler '$compiler'; on Debian and Ubuntu: apt-get install gcc libc6-dev, or name one: make bench CC=clang"

mkdir -p "$place"
for program in mock load; do
    if [ -z "$(find "$place/$program" -newer "bench/$program.c" -newer bench/wire.h 2>/dev/null)" ]; then
        "$compiler" -O2 -Wall -Wextra -o "$place/$program" "bench/$program.c" || fail "bench/$program.c does not compile"
    fi
done

exec .venv/bin/python -m bench.run --binaries "$place" "$@"
