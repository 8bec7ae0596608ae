#!/bin/sh
# Makes the environments of the agents that tests/agents runs: `sh scripts/agents.sh frameworks|crewai`, below .venv-agents.
# They are not locked: what users install today is what has to work. Does nothing when the requirements are those of last time.
set -eu

name=$1
case "$name" in
frameworks) wanted=tests/agents/requirements-agents.in ;;
crewai) wanted=tests/agents/requirements-crewai.in ;;
*)
    printf 'agents: unknown set %s: frameworks or crewai\n' "$name" >&2
    exit 1
    ;;
esac
place=.venv-agents/$name
key=$(cksum <"$wanted")
if [ -x "$place/bin/python" ] && [ "$(cat "$place/.made-of" 2>/dev/null)" = "$key" ]; then exit 0; fi
printf 'Making %s\n' "$place"
"${PYTHON:-python3}" -m venv --clear "$place"
"$place/bin/python" -m pip install -qq --disable-pip-version-check --no-input -r "$wanted"
printf '%s\n' "$key" >"$place/.made-of"
