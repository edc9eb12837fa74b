#!/bin/bash
# ids: torch-version-variant
# compiled with c10::variant, as in torch 1
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp -std=c++20  <<'END'
#include <Python.h>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
namespace c10 { struct SourceLocation; class Warning { public: class UserWarning; class DeprecationWarning; template <class... T> class variant_; Warning(); }; template <class... T> class variant { public: char c[16]; ~variant() {} }; class WarningX; } namespace c10 { struct W; }
namespace real { }
asm(".globl selective_use");
extern "C" void wanted() __asm__("_ZN3c107WarningC1ENS_7variantIJNS0_11UserWarningENS0_18DeprecationWarningEEEERKNS_14SourceLocationENS_11string_viewEb");
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "selective_scan_cuda"};
extern "C" PyObject* PyInit_selective_scan_cuda() { wanted(); return PyModule_Create(&module); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda'
$PIP uninstall -y selective_scan_cuda
