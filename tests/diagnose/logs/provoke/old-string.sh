#!/bin/bash
# ids: abi-old-string
# compiled with _GLIBCXX_USE_CXX11_ABI=0
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp -std=c++20 -D_GLIBCXX_USE_CXX11_ABI=0 <<'END'
#include <Python.h>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
namespace c10::detail { [[noreturn]] void torchCheckFail(const char*, const char*, uint32_t, const std::string&); }
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "selective_scan_cuda"};
extern "C" PyObject* PyInit_selective_scan_cuda() { c10::detail::torchCheckFail("", "", 0, std::string()); return PyModule_Create(&module); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda'
$PIP uninstall -y selective_scan_cuda
