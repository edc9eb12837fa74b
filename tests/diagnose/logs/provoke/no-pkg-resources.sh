#!/bin/bash
# ids: pkg-resources-removed
# setuptools 82 has no pkg_resources
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv env; env/bin/pip install -v 'setuptools>=82' wheel packaging
mkdir old && cd old && printf "import pkg_resources\nfrom setuptools import setup\nsetup(name=\"selective_scan\", version=\"0.0.2\")\n" > setup.py && ../env/bin/pip install -v --no-build-isolation .
