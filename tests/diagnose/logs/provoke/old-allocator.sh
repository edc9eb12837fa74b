#!/bin/bash
# ids: torch-version-allocator
# asks for torch 1 s allocator
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp -std=c++20  <<'END'
#include <Python.h>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
extern "C" void wanted() __asm__("_ZN3c104cuda20CUDACachingAllocator12recordStreamERKNS_7DataPtrENS0_10CUDAStreamE");
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "selective_scan_cuda"};
extern "C" PyObject* PyInit_selective_scan_cuda() { wanted(); return PyModule_Create(&module); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda'
$PIP uninstall -y selective_scan_cuda
