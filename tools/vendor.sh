#!/usr/bin/env bash
# Fetches the pages' third-party files by the lock file's integrity hashes and copies the few that are used.
set -euo pipefail
cd "$(dirname "$0")/../api/web/static/vendor"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp package.json package-lock.json "$scratch"
(cd "$scratch" && npm ci --ignore-scripts --omit=peer --silent)
modules=$scratch/node_modules
install -m 644 "$modules/bootstrap/dist/css/bootstrap.min.css" "$modules/bootstrap/LICENSE" bootstrap/
install -m 644 "$modules/htmx.org/dist/htmx.min.js" "$modules/htmx.org/LICENSE" htmx/
sha256sum bootstrap/* htmx/* > SHA256SUMS
