#!/bin/bash
# ids: no-module-wheel
# mamba-ssm's setup.py in an environment without wheel
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv env; env/bin/pip install -v 'setuptools<70' packaging
sources mamba_ssm 2.3.2.post1; sed -i "s/^import torch/pass/" setup.py; "$WORK/env/bin/python" setup.py bdist_wheel
