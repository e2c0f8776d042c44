// What the compiler made of the library, in words: for `stylize kernels status`, and a sign that it loads and runs.

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

extern "C" const char* stylecli_about() {
    return
#if defined(__clang__)
        "clang " TEXT(__clang_major__) "." TEXT(__clang_minor__)
#elif defined(__GNUC__)
        "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__)
#else
        "unknown compiler"
#endif
#if defined(__AVX512F__)
        ", AVX-512"
#elif defined(__AVX2__)
        ", AVX2"
#elif defined(__ARM_FEATURE_SVE)
        ", SVE"
#elif defined(__ARM_NEON)
        ", NEON"
#elif defined(__x86_64__)
        ", SSE2"
#endif
#if defined(_OPENMP)
        ", OpenMP";
#else
        ", no OpenMP";
#endif
}
