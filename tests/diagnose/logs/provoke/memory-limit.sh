#!/bin/bash
# ids: compiler-oom-killed
# 600 MB of address space for the compiler
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension selective_scan_cuda cpp
cat > g++-limited <<'END'
#!/bin/bash
ulimit -v 500000
exec g++ "$@"
END
chmod +x g++-limited; export CXX="$PWD/g++-limited" TORCH_DONT_CHECK_COMPILER_ABI=1
build
