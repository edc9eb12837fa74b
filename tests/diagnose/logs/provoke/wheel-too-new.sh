#!/bin/bash
# ids: wheel-bdist-wheel-removed
# wheel 0.46.1 with setuptools 69
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv env; env/bin/pip install -v 'setuptools==69.5.1' 'wheel==0.46.1' packaging
sources mamba_ssm 2.3.2.post1; "$WORK/env/bin/pip" install -v --no-build-isolation --no-deps .
