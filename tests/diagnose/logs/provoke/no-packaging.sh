#!/bin/bash
# ids: no-module-packaging
# causal-conv1d's setup.py in an environment without packaging
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv env; env/bin/pip install -v setuptools 'wheel<0.46'
sources causal_conv1d 1.6.1; "$WORK/env/bin/pip" install -v --no-build-isolation --no-deps .
