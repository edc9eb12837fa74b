#!/bin/bash
# ids: inconsistent-version
# the local version stands in the name only
. "$(dirname "$0")/helpers.sh"
mkdir -p p/causal_conv1d && cd p || exit
touch causal_conv1d/__init__.py
printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "causal-conv1d"\nversion = "1.5.4"\n' > pyproject.toml
$PIP wheel -q --no-build-isolation --no-deps -w .. .
cd ..; mkdir wheels; mv causal_conv1d-1.5.4-py3-none-any.whl "wheels/causal_conv1d-1.5.4+cu12torch2.8-py3-none-any.whl"
$PIP install -v --no-deps --no-index --find-links wheels --target t causal-conv1d==1.5.4+cu12torch2.8
