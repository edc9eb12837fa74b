// A stand-in for the CUDA runtime under upstream's own host code: keeps the last launch for Python to read.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

struct dim3 { unsigned x, y, z; };

static std::map<const void *, std::string> names;
static dim3 pushed_grid, pushed_block;
static size_t pushed_shared;
static void *pushed_stream;

extern "C" {
// read and set from Python
size_t recorded_struct_size = 0;
int recorded_launches = 0, recorded_attributes = 0, recorded_attribute = 0;
char recorded_name[8192];
unsigned recorded_numbers[7];
unsigned long long recorded_stream;
unsigned char recorded_bytes[4096];

void **__cudaRegisterFatBinary(void *) { static void *handle; return &handle; }
void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}
char __cudaInitModule(void **) { return 1; }
void __cudaRegisterFunction(void **, const char *host, char *, const char *name, int, void *, void *, void *, void *, int *) {
    names[host] = name;
}
void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int) {}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) {
    pushed_grid = grid; pushed_block = block; pushed_shared = shared; pushed_stream = stream;
    return 0;
}
int __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = pushed_grid; *block = pushed_block; *shared = pushed_shared; *(void **)stream = pushed_stream;
    return 0;
}
int cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream) {
    ++recorded_launches;
    snprintf(recorded_name, sizeof recorded_name, "%s", names[function].c_str());
    unsigned numbers[] = {grid.x, grid.y, grid.z, block.x, block.y, block.z, (unsigned)shared};
    memcpy(recorded_numbers, numbers, sizeof numbers);
    recorded_stream = (unsigned long long)stream;
    memcpy(recorded_bytes, arguments[0], recorded_struct_size);
    return 0;
}
// CUDA 13's stubs launch by a handle
int __cudaGetKernel(const void **handle, const void *function) { *handle = function; return 0; }
int __cudaLaunchKernel(const void *handle, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream) {
    return cudaLaunchKernel(handle, grid, block, arguments, shared, stream);
}
int cudaFuncSetAttribute(const void *, int attribute, int value) {
    recorded_attributes = attribute; recorded_attribute = value;
    return 0;
}
int cudaGetLastError() { return 0; }
int cudaPeekAtLastError() { return 0; }
const char *cudaGetErrorString(int) { return "none"; }
}
