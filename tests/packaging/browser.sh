#!/usr/bin/env bash
# Debian's Chromium, which the tests of pages look through; they skip, saying so, where it cannot be had.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "no Chromium here, and no way to install it: the tests of pages are skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null; then
    echo "Debian's package chromium could not be installed: the tests of pages are skipped"
fi
