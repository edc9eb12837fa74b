#!/bin/bash
# ids: python-too-old
# a wheel that wants Python 3.10 for Python 3.9
. "$(dirname "$0")/helpers.sh"
PYENV_VERSION=3.9.18 python3.9 -m venv env
$PIP download -q --no-deps quack-kernels
env/bin/python -m pip install -v --no-deps ./quack_kernels*.whl
