#!/bin/bash
# ids: resolver-conflict
# two requirements that exclude each other
. "$(dirname "$0")/helpers.sh"
for spec in "project_a 1.0 numpy<2" "project_b 2.0 numpy>=2"; do
  set -- $spec; mkdir "$1"
  printf '[project]\nname = "%s"\nversion = "%s"\ndependencies = ["%s"]\n' "$1" "$2" "$3" > "$1/pyproject.toml"
done
$PIP install -v --dry-run --no-build-isolation ./project_a ./project_b
