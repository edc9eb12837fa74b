/* A stand-in for libcuda.so.1: writes down what is loaded and launched, one line each, and returns the errors it is told to.
 *
 * RECORD: the file that lines go to. FAIL: "function:code", that function returns this code, or "function:code:N", from
 * its Nth call on. DRIVER: the version that it claims, 13000 by default. Line of a launch: launch CONTEXT FUNCTION grid
 * x,y,z threads T shared S stream H SIZE-BYTES-IN-HEX; the size of a parameter is the one that the module's code names
 * in "params=SIZE" (the tests' own modules) or that PARAMS says. Compiled with SILENT it writes nothing: for measuring.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

typedef int result;
static __thread void *current;
static __thread void *stack[16];
static __thread int depth;
static int modules;

static void say(const char *text) {
#ifdef SILENT
    return;
#endif
    const char *path = getenv("RECORD");
    if (!path) return;
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, text, strlen(text)) < 0) abort();
    close(file);
}

static result told(const char *name) {
#ifdef SILENT
    return 0;
#endif
    const char *fail = getenv("FAIL");
    static int calls;
    size_t length = strlen(name);
    if (!fail || strncmp(fail, name, length) || fail[length] != ':') return 0;
    const char *from = strchr(fail + length + 1, ':');
    if (from && ++calls < atoi(from + 1)) return 0;
    return atoi(fail + length + 1);
}

#define BEGIN(name) result failed = told(name); if (failed) return failed

result cuInit(unsigned flags) { BEGIN("cuInit"); say("init\n"); return flags ? 1 : 0; }
result cuDriverGetVersion(int *version) {
    const char *told_version = getenv("DRIVER");
    *version = told_version ? atoi(told_version) : 13000;
    return 0;
}
result cuDeviceGet(int *device, int ordinal) { BEGIN("cuDeviceGet"); *device = ordinal; return 0; }
result cuDevicePrimaryCtxRetain(void **context, int device) {
    BEGIN("cuDevicePrimaryCtxRetain");
    *context = (void *)(uintptr_t)(0xC0 + device);
    char line[64];
    snprintf(line, sizeof line, "retain %d\n", device);
    say(line);
    return 0;
}
result cuCtxGetCurrent(void **context) { BEGIN("cuCtxGetCurrent"); *context = current; return 0; }
result cuCtxPushCurrent_v2(void *context) {
    BEGIN("cuCtxPushCurrent_v2");
    stack[depth++] = current;
    current = context;
    return 0;
}
result cuCtxPopCurrent_v2(void **context) {
    BEGIN("cuCtxPopCurrent_v2");
    *context = current;
    current = stack[--depth];
    return 0;
}
result cuCtxSetCurrent(void *context) { current = context; return 0; }
result cuModuleLoadData(void **module, const void *image) {
    BEGIN("cuModuleLoadData");
    if (!current) return 201; /* CUDA_ERROR_INVALID_CONTEXT */
    *module = (void *)(uintptr_t)(++modules);
    char line[128];
    snprintf(line, sizeof line, "load %p %d %02x%02x%02x%02x\n", current, modules, ((const uint8_t *)image)[0],
             ((const uint8_t *)image)[1], ((const uint8_t *)image)[2], ((const uint8_t *)image)[3]);
    say(line);
    return 0;
}
result cuModuleGetFunction(void **function, void *module, const char *name) {
    BEGIN("cuModuleGetFunction");
    *function = (void *)(0xF000 + (uintptr_t)module);
    char line[4096];
    snprintf(line, sizeof line, "function %p %s\n", *function, name);
    say(line);
    return 0;
}
result cuFuncSetAttribute(void *function, int attribute, int value) {
    BEGIN("cuFuncSetAttribute");
    char line[128];
    snprintf(line, sizeof line, "attribute %p %d %d\n", function, attribute, value);
    say(line);
    return 0;
}
result cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **parameters, void **extra) {
    BEGIN("cuLaunchKernel");
    if (!current) return 201;
    if (!x || !y || !z) return 1;
#ifdef SILENT
    return extra ? 1 : 0;
#endif
    size_t size = getenv("PARAMS") ? atoi(getenv("PARAMS")) : 0;
    char *line = malloc(512 + 2 * size);
    int n = sprintf(line, "launch %p %p grid %u,%u,%u block %u,%u,%u shared %u stream %p ", current, function, x, y, z, bx, by,
                    bz, shared, stream);
    for (size_t i = 0; i < size; i++) n += sprintf(line + n, "%02x", ((uint8_t *)parameters[0])[i]);
    sprintf(line + n, "\n");
    say(line);
    free(line);
    return extra ? 1 : 0;
}
static const struct { int code; const char *name, *words; } ERRORS[] = {
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {300, "CUDA_ERROR_INVALID_SOURCE", "device kernel image is invalid"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
};
result cuGetErrorName(int code, const char **text) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].code == code) { *text = ERRORS[i].name; return 0; }
    return 1;
}
result cuGetErrorString(int code, const char **text) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (ERRORS[i].code == code) { *text = ERRORS[i].words; return 0; }
    return 1;
}
