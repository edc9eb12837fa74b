#!/bin/bash
# ids: not-on-gpu
# TORCH_CHECK of the kernels with a CPU tensor
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp <<'END'
#include <torch/extension.h>
at::Tensor fwd(const at::Tensor& u) { TORCH_CHECK(u.is_cuda()); return u; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("fwd", &fwd); }
END
build
cd /; "$PY" -c 'import torch, selective_scan_cuda; selective_scan_cuda.fwd(torch.zeros(3))'
$PIP uninstall -y selective_scan_cuda
