/* CRC32, as zlib computes it, 64 bytes at a time with carry-less multiplication.
 *
 * The method is that of V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel,
 * 2009: a message is a polynomial over GF(2); four 128-bit pieces of it are multiplied by x^n mod P and added to the pieces
 * 64 bytes on, until 128 bits are left, which are reduced to 64 and, after Barrett, to 32. The constants below are these
 * x^n mod P for the reflected polynomial 0x04C11DB7. For processors without the instruction, importing this fails. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

enum { BLOCK = 64, PIECE = 16 };
static uint32_t of_byte[256];

static void make_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        of_byte[byte] = crc;
    }
}

#define FAST __attribute__((target("pclmul,sse4.1")))

FAST static inline __m128i load(const unsigned char *from) { return _mm_loadu_si128((const __m128i *)from); }

/* `piece`, moved on by the distance of `by`, and `next` added. */
FAST static inline __m128i fold(__m128i piece, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(piece, by, 0x00), high = _mm_clmulepi64_si128(piece, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* At least BLOCK bytes, a multiple of PIECE. The state `crc` is inverted, as that of `bytes_crc`. */
FAST static uint32_t pieces_crc(const unsigned char *from, size_t size, uint32_t crc)
{
    const __m128i by_block = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_piece = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i to_64 = _mm_set_epi64x(0, 0x163cd6124), barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
    const __m128i every_other = _mm_setr_epi32(~0, 0, ~0, 0);
    __m128i a = _mm_xor_si128(load(from), _mm_cvtsi32_si128((int)crc));
    __m128i b = load(from + PIECE), c = load(from + 2 * PIECE), d = load(from + 3 * PIECE);
    for (from += BLOCK, size -= BLOCK; size >= BLOCK; from += BLOCK, size -= BLOCK) {
        a = fold(a, by_block, load(from));
        b = fold(b, by_block, load(from + PIECE));
        c = fold(c, by_block, load(from + 2 * PIECE));
        d = fold(d, by_block, load(from + 3 * PIECE));
    }
    a = fold(fold(fold(a, by_piece, b), by_piece, c), by_piece, d);
    for (; size >= PIECE; from += PIECE, size -= PIECE)
        a = fold(a, by_piece, load(from));
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_piece, 0x10));
    __m128i rest = _mm_srli_si128(a, 4);
    a = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(a, every_other), to_64, 0x00), rest);
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, every_other), barrett, 0x10);
    a = _mm_xor_si128(a, _mm_clmulepi64_si128(_mm_and_si128(quotient, every_other), barrett, 0x00));
    return (uint32_t)_mm_extract_epi32(a, 1);
}

static uint32_t bytes_crc(const unsigned char *from, size_t size, uint32_t crc)
{
    while (size--)
        crc = of_byte[(crc ^ *from++) & 0xFF] ^ crc >> 8;
    return crc;
}

static PyObject *crc32(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    unsigned int value = 0;
    if (!PyArg_ParseTuple(args, "y*|I:crc32", &data, &value))
        return NULL;
    const unsigned char *from = data.buf;
    size_t size = data.len, whole = size >= BLOCK ? size & ~(size_t)(PIECE - 1) : 0;
    uint32_t crc = ~value;
    Py_BEGIN_ALLOW_THREADS
    if (whole)
        crc = pieces_crc(from, whole, crc);
    crc = bytes_crc(from + whole, size - whole, crc);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(~crc & 0xFFFFFFFFu);
}

static PyMethodDef methods[] = {
    {"crc32", crc32, METH_VARARGS, "crc32(data, value=0): as zlib.crc32."},
    {NULL, NULL, 0, NULL},
};

static int usable(void)
{
    make_table();
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static PyMethodDef methods[] = {{NULL, NULL, 0, NULL}};

static int usable(void) { return 0; }
#endif

static PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast_crc32", "CRC32 as zlib computes it.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_fast_crc32(void)
{
    if (!usable()) {
        PyErr_SetString(PyExc_ImportError, "this processor has no carry-less multiplication");
        return NULL;
    }
    return PyModule_Create(&module);
}
