#!/bin/bash
# ids: 
# an error that nobody catalogued: not recognised
. "$(dirname "$0")/helpers.sh"
extension selective_scan_cuda cpp <<'END'
#include <torch/extension.h>
at::Tensor fwd(const at::Tensor& u) { return u.no_such_member(); }
END
build
