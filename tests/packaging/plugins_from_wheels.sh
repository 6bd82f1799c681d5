#!/usr/bin/env bash
# Each plugin's tests, from a copy outside the checkout, in an environment with only its wheel and core's.
. "$(dirname "$0")/common.sh"

for member in "$root"/plugins/*/ "$root"/exchanges/*/ "$root"/policies/; do
    name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$member/pyproject.toml" | head -n 1)
    env=$work/$name
    clean_env "$env" "$root/.venv/bin/python"
    install "$env" "$name" "grinder-core[testing]"
    cp -r "$member/tests" "$work/$name-tests"
    echo "== $name from its wheel"
    (cd "$work/$name-tests" && "$env/bin/python" -I -m pytest -q --import-mode=importlib -p no:cacheprovider .)
done
