# Sourced by the scripts beside it; `run.py` sets the variables:
#   TORCH_ENV  an environment with torch 2.14.1 (CUDA 13), setuptools, wheel, ninja, packaging
#   CPU_PYTHON a Python with a CPU build of torch 2.13
#   SRC        a folder with the source archives of the two packages
#   BULLSEYE   a Debian 11 root (glibc 2.31)
#   WORK       an empty folder; the script starts in it
# Each script runs in its own mount namespace, so what it mounts is gone afterwards.
PY="$TORCH_ENV/bin/python"
PIP="$PY -m pip --disable-pip-version-check --no-input"
export LC_ALL=C MAX_JOBS=2 CUDA_HOME=/usr/local/cuda

# sources NAME VERSION: unpack a source archive and go into it
sources() { tar xzf "$SRC/$1-$2.tar.gz" && cd "$1-$2" || exit; }

# build: what a person runs in the folder of the sources
build() {
  [ -f setup.py ] || cd "$WORK/extension" || exit
  $PIP install -v --no-build-isolation --no-deps .
}

# no_usr_local: this shell has no CUDA (and no cc on PATH from there)
no_usr_local() { mount -t tmpfs none /usr/local; unset CUDA_HOME CUDA_PATH; }

# stand_in_nvcc VERSION: a CUDA_HOME whose nvcc prints what the real one of that version prints
stand_in_nvcc() {
  mkdir -p cuda/bin
  cat > cuda/bin/nvcc <<END
#!/bin/sh
echo "nvcc: NVIDIA (R) Cuda compiler driver"
echo "Copyright (c) 2005-2023 NVIDIA Corporation"
echo "Built on Mon_Apr__3_17:16:06_PDT_2023"
echo "Cuda compilation tools, release $1, V$1.105"
END
  chmod +x cuda/bin/nvcc
  export CUDA_HOME="$PWD/cuda" PATH="$PWD/cuda/bin:$PATH"
}

# links_of_toolkit: a CUDA_HOME of links to the real one, to take parts away from
links_of_toolkit() {
  mkdir -p cuda/include
  for part in bin lib64 nvvm; do ln -s "/usr/local/cuda/$part" "cuda/$part"; done
  ln -s /usr/local/cuda/targets/*/include/* cuda/include/
  export CUDA_HOME="$PWD/cuda"
}

# extension NAME KIND FLAGS…: a small torch extension (KIND cpp or cuda) with its sources on stdin
extension() {
  local name=$1 kind=$2; shift 2
  # a folder with a fixed name: in a pipe this function runs in a shell of its own
  mkdir -p "$WORK/extension/csrc" && cd "$WORK/extension" || exit
  if [ "$kind" = cuda ]; then suffix=cu class=CUDAExtension; else suffix=cpp class=CppExtension; fi
  cat > "csrc/$name.$suffix"
  local flags="" flag
  for flag in "$@"; do flags="$flags'$flag', "; done
  [ "$kind" = cuda ] && flags="{'cxx': [], 'nvcc': [$flags]}" || flags="{'cxx': [$flags]}"
  cat > setup.py <<END
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name="$name",
    version="1.0",
    ext_modules=[$class("$name", ["csrc/$name.$suffix"], extra_compile_args=$flags)],
    cmdclass={"build_ext": BuildExtension},
)
END
}

# one_arch: setup.py compiles for sm_80 only, so that what is meant to fail fails soon
one_arch() {
  sed -i 's/cc_flag = \[\]/cc_flag = ["-gencode", "arch=compute_80,code=sm_80"]/
          s/^\( *\)cc_flag.append(.*/\1pass/' setup.py
}
