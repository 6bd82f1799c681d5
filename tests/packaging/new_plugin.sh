#!/usr/bin/env bash
# A package from `grinder plugins new`, held to everything in an environment of wheels: its own tests, linter, types and
# conformance cases; then its wheel beside ours, enabled by settings alone, blocking orders in a run.
. "$(dirname "$0")/common.sh"

author=$work/author
clean_env "$author" "$root/.venv/bin/python"
install "$author" grinder-core
cd "$work"
"$author/bin/grinder" plugins new tiny-cap --author 'Ada <ada@example.org>'
package=$work/grinder-plugin-tiny-cap
"$UV" build --quiet --wheel --out-dir "$work/new-dist" "$package"

echo "== plugins check names the extra that it needs"
code=0
"$author/bin/grinder" plugins check "$package" 2>"$work/needs.txt" || code=$?
[ "$code" = 2 ] && grep -q "grinder-core\[testing\]" "$work/needs.txt" || { cat "$work/needs.txt"; exit 1; }

env=$work/env
clean_env "$env" "$root/.venv/bin/python"
install "$env" $(wheels) "$work"/new-dist/*.whl "grinder-core[testing]" ruff mypy
cd "$package"
echo "== grinder-plugin-tiny-cap: its own tests, from its wheel"
"$env/bin/python" -I -m pytest -q -p no:cacheprovider
echo "== grinder-plugin-tiny-cap: its linter and types"
"$env/bin/ruff" check --no-cache .
"$env/bin/ruff" format --no-cache --check .
"$env/bin/mypy" --cache-dir "$work/mypy" src tests
cd "$work"
echo "== grinder-plugin-tiny-cap: the conformance cases, installed and from its source"
"$env/bin/grinder" plugins check tiny_cap
"$env/bin/grinder" plugins check "$package" --json >"$work/check.json"
sed -i 's/return Allow(inputs)/return inputs and Allow(inputs, 1)/' "$package"/src/*/__init__.py
code=0
"$env/bin/grinder" plugins check "$package" >"$work/broken.txt" || code=$?
[ "$code" = 1 ] && grep -q "GC12  FAIL" "$work/broken.txt" || { cat "$work/broken.txt"; exit 1; }

echo "== grinder-plugin-tiny-cap: enabled by settings alone"
"$env/bin/grinder" run --duration 30s --out "$work/run" --set plugins.warm_up.seconds=1 \
    --set plugins.tiny_cap.enabled=true --set plugins.tiny_cap.mode=enforce --set plugins.tiny_cap.max_notional=100 >"$work/summary.txt"
"$env/bin/python" -I - "$work/run/summary.json" <<'PY'
import json, sys

decisions = json.load(open(sys.argv[1]))["decisions"]
mine = decisions["by_gate"]["tiny_cap"]
assert mine["block"] > 0 and mine["error"] == 0, mine
assert decisions["by_reason"]["TINY_CAP_TOO_LARGE"] > 0, decisions["by_reason"]
print(f"tiny_cap blocked {mine['block']} orders in a real run")
PY
"$env/bin/grinder" explain last-blocked --run "$work/run" | grep -q tiny_cap
