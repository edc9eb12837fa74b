#!/bin/bash
# ids: numpy2-abi
# a module compiled for NumPy 1 with NumPy 2 installed
. "$(dirname "$0")/helpers.sh"
python3.11 -m venv old && old/bin/pip install -q 'numpy==1.26.4' 'setuptools<80' wheel
mkdir module && cd module || exit
cat > setup.py <<'END'
import numpy
from setuptools import Extension, setup
setup(name="scan", version="1", ext_modules=[Extension("scan", ["scan.c"], include_dirs=[numpy.get_include()])])
END
cat > scan.c <<'END'
#include <Python.h>
#include <numpy/arrayobject.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "scan"};
PyMODINIT_FUNC PyInit_scan(void) { import_array(); return PyModule_Create(&module); }
END
../old/bin/pip install -v --no-build-isolation .
../old/bin/pip install -v 'numpy==2.2.6'
cd / && "$WORK/old/bin/python" -c 'import scan'
