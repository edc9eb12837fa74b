#!/bin/bash
# ids: blas-lib-missing
# a library that is linked against libopenblas is loaded without it
. "$(dirname "$0")/helpers.sh"
echo 'void cblas(void) {}' > blas.c; gcc -shared -fPIC -Wl,-soname,libopenblas.so.0 blas.c -o libopenblas.so.0; ln -s libopenblas.so.0 libopenblas.so
echo '#include <Python.h>
void cblas(void); static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "scan"};
PyMODINIT_FUNC PyInit_scan(void) { cblas(); return PyModule_Create(&m); }' > scan.c
gcc -shared -fPIC $(python3.11-config --includes) scan.c -L. -lopenblas -o scan.so; rm libopenblas.so.0
python3.11 -c 'import scan'
