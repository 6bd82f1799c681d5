#!/usr/bin/env bash
# The out-of-tree plugin: built, installed beside the wheels, enabled by settings alone, blocking orders in a run.
. "$(dirname "$0")/common.sh"

env=$work/env
clean_env "$env" "$root/.venv/bin/python"
cp -r "$root/tests/downstream/acme-grinder-spread" "$work/acme"
"$UV" build --quiet --wheel --out-dir "$work/acme-dist" "$work/acme"
install "$env" $(wheels) "$work"/acme-dist/*.whl "grinder-core[testing]"
echo "== acme-grinder-spread: its own tests"
(cd "$work/acme" && "$env/bin/python" -I -m pytest -q --import-mode=importlib -p no:cacheprovider tests)

cd "$work"
echo "== acme-grinder-spread: the conformance cases"
"$env/bin/grinder" plugins check acme-grinder-spread
echo "== acme-grinder-spread: enabled by settings alone"
"$env/bin/grinder" plugins list --all
"$env/bin/grinder" run --duration 30s --out "$work/run" \
    --set plugins.acme_spread.enabled=true --set plugins.acme_spread.mode=enforce --set plugins.acme_spread.max_spread_bps=0.0001 \
    --set plugins.warm_up.seconds=1 >"$work/summary.txt"
"$env/bin/python" -I - "$work/run/summary.json" <<'PY'
import json, sys

by_gate = json.load(open(sys.argv[1]))["decisions"]["by_gate"]
blocked = by_gate["acme_spread"]["block"]
assert blocked > 0, by_gate
print(f"acme_spread blocked {blocked} orders in a real run")
PY
"$env/bin/grinder" explain last-blocked --run "$work/run" | grep -q acme_spread
