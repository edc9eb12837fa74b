"""Stand-in for torch: what a setup.py asks of it, on a machine without a GPU."""

import os

__version__ = os.environ["STANDIN_TORCH"]


class version:
    cuda = os.environ["STANDIN_TORCH_CUDA"]
    hip = None


class _C:
    _GLIBCXX_USE_CXX11_ABI = True


class cuda:
    @staticmethod
    def is_available():
        return False

    @staticmethod
    def get_device_capability(device=None):
        raise RuntimeError("No CUDA GPUs are available")


def device(name):
    return name
