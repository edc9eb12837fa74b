#!/bin/bash
# ids: libcuda-symlink
# the linker is asked for libcuda
. "$(dirname "$0")/helpers.sh"
echo 'int main(void) { return 0; }' > main.c
gcc main.c -O3 -shared -fPIC -o cuda_utils.so -lcuda -L/usr/lib/x86_64-linux-gnu -L/lib/i386-linux-gnu
