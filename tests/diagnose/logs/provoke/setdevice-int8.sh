#!/bin/bash
# ids: torch-version-setdevice-int8
# calls what the headers of torch 2.4 declare
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp -std=c++20  <<'END'
#include <Python.h>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
namespace c10::cuda { void SetDevice(signed char); }
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "selective_scan_cuda"};
extern "C" PyObject* PyInit_selective_scan_cuda() { c10::cuda::SetDevice(0); return PyModule_Create(&module); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda'
$PIP uninstall -y selective_scan_cuda
