#!/bin/sh
# The browser tests drive a real Chromium: install it where that is possible, say how elsewhere.
set -eu
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
    echo "The browser tests need Chromium on the PATH: install it, for example with: sudo apt-get install chromium" >&2
    exit 1
fi
