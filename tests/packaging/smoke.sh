#!/usr/bin/env bash
# A short run from the wheels on every other Python that is found.
. "$(dirname "$0")/common.sh"

find_python() { # VERSION: an interpreter of that version that really runs (a shim may exist without one)
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python /usr/lib/python"$1"/bin/python; do
        "$candidate" -c 'pass' 2>/dev/null && { command -v "$candidate"; return; }
    done
    return 1
}

for version in 3.12 3.13; do
    python=$(find_python "$version") || { echo "== no Python $version here: smoke run skipped"; continue; }
    env=$work/py$version
    clean_env "$env" "$python"
    install "$env" $(wheels)
    echo "== Python $version: a run from the wheels"
    (cd "$work" && "$env/bin/grinder" run --duration 20s --set plugins.warm_up.seconds=1 --out "$work/run$version" | tail -n 3)
done
