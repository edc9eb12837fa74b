"""Small stand-ins for the two packages' sources: upstream's own setup.py over CUDA files that compile in seconds.

Everything around the kernels is real: torch, nvcc, ninja, setup.py, patches, wheels.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
SETUPS = TESTS / "patching" / "setup_py"
MODULE = """#include <Python.h>
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{name}", NULL, -1, NULL}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModule_Create(&definition); }}
"""
KERNEL = """#include <cuda_runtime.h>
__global__ void {name}(float* x, int n) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = x[i] * 2.0f + 1.0f;
}}
extern "C" void launch_{name}(float* x, int n) {{ {name}<<<(n + 255) / 256, 256>>>(x, n); }}
"""

OWN = """
name = "splines"
title = "two tiny modules"
[source]
version = "1.0"
[build]
env = { FORCE_ONLY_CUDA = "1" }
[architectures]
route = "environment"
[modules]
imports = ["splines"]
kernels = ["splines/_basis_cuda", "splines/_weights_cuda"]
[check]
code = "assert torch.ones(2, device=device).sum() == 2"
devices = ["cpu"]
"""


def setup_text(package: str, version: str) -> str:
    """Upstream's setup.py of a release."""
    index = json.loads((SETUPS / "index.json").read_text(encoding="utf-8"))
    return (SETUPS / index[package][version]["file"]).read_text(encoding="utf-8")


def make_vmamba(folder: Path) -> Path:
    """VMamba's selective scan: a setup.py of its shape (it asks the GPU at import) over tiny sources."""
    folder.mkdir(parents=True)
    setup = (TESTS / "patching" / "shapes" / "vmamba_capability.py").read_text(encoding="utf-8")
    setup = setup.replace("oflex.cu", "oflex_kernel.cu").replace(
        'name="selective_scan",', 'name="selective_scan", version="0.0.2",'
    )
    (folder / "setup.py").write_text(setup, encoding="utf-8")
    module = MODULE.format(name="selective_scan_cuda_oflex")
    (folder / "oflex.cpp").write_text(module, encoding="utf-8")
    (folder / "oflex_kernel.cu").write_text(KERNEL.format(name="oflex"), encoding="utf-8")
    return folder


def make_own(folder: Path) -> Path:
    """A package that nobody knows, of the shape of PyTorch Geometric's; returns its package file."""
    setup = (TESTS / "patching" / "routes" / "environment.py").read_text(encoding="utf-8")
    setup = setup.replace('name="splines",', 'name="splines", version="1.0", packages=["splines"],')
    for part in ("splines", "csrc/cuda"):
        (folder / part).mkdir(parents=True)
    (folder / "setup.py").write_text(setup, encoding="utf-8")
    imports = "import torch\nfrom splines import _basis_cuda, _weights_cuda\n"
    (folder / "splines" / "__init__.py").write_text(imports, encoding="utf-8")
    for name in ("basis", "weights"):
        module = MODULE.format(name=f"_{name}_cuda")
        (folder / "csrc" / f"{name}.cpp").write_text(module, encoding="utf-8")
        kernel = KERNEL.format(name=name)
        (folder / "csrc/cuda" / f"{name}_kernel.cu").write_text(kernel, encoding="utf-8")
    (folder / "setup.py").write_text(setup.replace("{name}.cu", "{name}_kernel.cu"), "utf-8")
    file = folder / "splines.toml"
    file.write_text(OWN, encoding="utf-8")
    return file


def make(package: str, version: str, folder: Path) -> Path:
    """A source tree of `package` whose setup.py is upstream's, and whose sources are tiny."""
    name = package.replace("-", "_")
    extension = "selective_scan_cuda" if package == "mamba-ssm" else "causal_conv1d_cuda"
    text = setup_text(package, version)
    (folder / name).mkdir(parents=True)
    (folder / "setup.py").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(f"# {package}\n", encoding="utf-8")
    init = f'__version__ = "{version}"\n'
    (folder / name / "__init__.py").write_text(init, encoding="utf-8")
    for source in sorted(set(re.findall(r'"(csrc/[\w/]+\.(?:cpp|cu))"', text))):
        path = folder / source
        path.parent.mkdir(parents=True, exist_ok=True)
        template = MODULE if path.suffix == ".cpp" else KERNEL
        kernel = extension if path.suffix == ".cpp" else path.stem
        path.write_text(template.format(name=kernel), encoding="utf-8")
    return folder
