#!/bin/bash
# ids: 
# a setup.py with a mistake of its own: not recognised
. "$(dirname "$0")/helpers.sh"
mkdir kernels && cd kernels || exit
printf 'from setuptools import setup\nraise ValueError("kernels.yaml: expected a list of kernels, got 3")\n' > setup.py
build
