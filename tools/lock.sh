#!/usr/bin/env bash
# Recomputes requirements/*.txt with hashes and without download addresses.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
compile() { uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q "$@"; }
python3 - <<'PY'
import tomllib

with open("../pyproject.toml", "rb") as file:
    project = tomllib.load(file)
groups = project["dependency-groups"] | project["project"]["optional-dependencies"]
for name, first in (("dev", "-c run.txt\n"), ("interop", ""), ("pkcs11", "-c run.txt\n")):
    with open(f"{name}.in", "w", encoding="utf-8") as file:
        file.write(first + "\n".join(groups[name]) + "\n")
PY
compile ../pyproject.toml -o run.txt
for name in build demo dev interop pkcs11; do compile "$name.in" -o "$name.txt"; done
