# Shared by the packaging checks: a clean environment that holds wheels from dist/ and nothing of the checkout.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
UV=${UV:-uv}
case "$UV" in */*) UV=$(cd "$root" && realpath "$UV") ;; esac
dist=$root/dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# No variable of the caller's may reach into the clean environments.
unset PYTHONPATH VIRTUAL_ENV
while IFS='=' read -r name _; do
    case "$name" in GRINDER_*) unset "$name" ;; esac
done < <(env)

clean_env() { # DIR PYTHON: an empty virtual environment
    "$UV" venv --quiet --python "$2" "$1"
}

install() { # DIR REQUIREMENT...: from dist/ and the package index, at the locked versions
    local dir=$1
    shift
    [ -f "$work/constraints.txt" ] || (cd "$root" && "$UV" export --quiet --locked --all-packages --all-groups --no-emit-workspace \
        --no-hashes --format requirements-txt >"$work/constraints.txt")
    "$UV" pip install --quiet --python "$dir/bin/python" --find-links "$dist" --constraint "$work/constraints.txt" "$@"
}

wheels() { ls "$dist"/*.whl; }
