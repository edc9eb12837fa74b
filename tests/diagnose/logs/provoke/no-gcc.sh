#!/bin/bash
# ids: c-compiler-missing
# a C extension without gcc
. "$(dirname "$0")/helpers.sh"
mkdir empty module; cd module || exit
printf 'from setuptools import Extension, setup\nsetup(name="scan", version="1", ext_modules=[Extension("scan", ["scan.c"])])\n' > setup.py; touch scan.c
PATH=$WORK/empty "$PY" setup.py build_ext
