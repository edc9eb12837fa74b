#!/bin/bash
# ids: pkg-resources-packaging
# the import of torch 2.0's cpp_extension with setuptools 70
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv env; env/bin/pip install -v 'setuptools==70.0.0' wheel
mkdir old && cd old && printf "from pkg_resources import packaging\nfrom setuptools import setup\nsetup(name=\"selective_scan\", version=\"0.0.2\")\n" > setup.py && ../env/bin/pip install -v --no-build-isolation .
