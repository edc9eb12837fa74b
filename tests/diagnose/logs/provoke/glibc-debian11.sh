#!/bin/bash
# ids: glibc-too-old
# an extension of this system loaded in Debian 11
. "$(dirname "$0")/helpers.sh"
cat > selective_scan_cuda.cpp <<'END'
#include <memory>
#include <string>
// shared_ptr's counter reads __libc_single_threaded (GLIBC_2.32) since GCC 11
extern "C" long use(int n) { auto p = std::make_shared<std::string>(n, 'x'); auto q = p; return q.use_count(); }
END
g++ -v -O2 -shared -fPIC selective_scan_cuda.cpp -o selective_scan_cuda.cpython-310-x86_64-linux-gnu.so
cp selective_scan_cuda*.so "$BULLSEYE/tmp/"
chroot "$BULLSEYE" /usr/bin/perl -e 'require DynaLoader; DynaLoader::dl_load_file($ARGV[0]) or die "ImportError: " . DynaLoader::dl_error() . "\n"' /tmp/selective_scan_cuda.cpython-310-x86_64-linux-gnu.so
rm "$BULLSEYE"/tmp/selective_scan_cuda*.so
