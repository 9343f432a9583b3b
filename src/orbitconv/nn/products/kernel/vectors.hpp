// Vectors of float32 numbers, as long as the processor has them.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef float Register __attribute__((vector_size(kLanes * 4)));
typedef int32_t Indices __attribute__((vector_size(kLanes * 4)));

static inline Register load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
static inline void store(float* p, Register v) { *reinterpret_cast<Vector*>(p) = v; }
static inline int64_t up(int64_t n, int64_t unit = kLanes) { return (n + unit - 1) / unit * unit; }

// The same for `count` numbers, if that are fewer than a vector has; the others are 0.
static inline Register load(const float* p, int64_t count) {
    if (count >= kLanes) return load(p);
    Register v{};
    std::memcpy(&v, p, count * sizeof(float));
    return v;
}
static inline void store(float* p, Register v, int64_t count) {
    if (count >= kLanes) store(p, v);
    else std::memcpy(p, &v, count * sizeof(float));
}

// Lanes of a and b by number, those of b coming after those of a.
static inline Register pick(Register a, Register b, Indices lanes) {
#if defined(__clang__)
    Register v;
    for (int lane = 0; lane < kLanes; lane++) v[lane] = lanes[lane] < kLanes ? a[lanes[lane]] : b[lanes[lane] - kLanes];
    return v;
#else
    return __builtin_shuffle(a, b, lanes);
#endif
}
