#!/bin/bash
# ids: fwd-incompatible-args
# a causal_conv1d_fwd with the arguments of 1.0, called as 1.2 does
. "$(dirname "$0")/helpers.sh"
extension causal_conv1d_cuda cpp <<'END'
#include <torch/extension.h>
at::Tensor fwd(const at::Tensor& x, const at::Tensor& w, const std::optional<at::Tensor>& b, bool silu) { return x; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("causal_conv1d_fwd", &fwd); }
END
build
cd /; "$PY" -c '
import torch, causal_conv1d_cuda
x, w = torch.zeros(1, 8, 8), torch.zeros(8, 4)
causal_conv1d_cuda.causal_conv1d_fwd(x, w, None, None, None, None, True)'
$PIP uninstall -y causal_conv1d_cuda
