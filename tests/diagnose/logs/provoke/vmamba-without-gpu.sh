#!/bin/bash
# ids: vmamba-setup-needs-gpu
# a setup.py that asks torch for the GPU
. "$(dirname "$0")/helpers.sh"
mkdir kernels && cd kernels || exit
cat > setup.py <<'END'
import torch
from setuptools import setup
major, minor = torch.cuda.get_device_capability(0)
setup(name="selective_scan", version="0.0.2")
END
build
