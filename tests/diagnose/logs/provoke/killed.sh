#!/bin/bash
# ids: compiler-oom-killed
# cc1plus is killed as the kernel does it
. "$(dirname "$0")/helpers.sh"
printf '#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n' | extension selective_scan_cuda cpp
cat > g++-killed <<'END'
#!/bin/bash
g++ "$@" & driver=$!
[[ " $* " == *" -c "* ]] && sleep 1 && pkill -9 -P "$driver" cc1plus
wait "$driver"
END
chmod +x g++-killed; export CXX="$PWD/g++-killed" TORCH_DONT_CHECK_COMPILER_ABI=1
build
