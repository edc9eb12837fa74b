#!/bin/bash
# ids: torch-version-optional
# compiled with c10::optional, as before torch 2.3
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp -std=c++20  <<'END'
#include <Python.h>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
namespace at { class Tensor; } namespace c10 { enum class ScalarType : int8_t {}; enum class Layout : int8_t {}; template <class T> class optional { T v; bool b; public: ~optional() {} }; } namespace at::_ops { struct zeros_like { static void call(const at::Tensor&, c10::optional<c10::ScalarType>, c10::optional<c10::Layout>); }; }
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "selective_scan_cuda"};
extern "C" PyObject* PyInit_selective_scan_cuda() { at::_ops::zeros_like::call(*(at::Tensor*)nullptr, {}, {}); return PyModule_Create(&module); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda'
$PIP uninstall -y selective_scan_cuda
