// Planes in memory: float32, or bfloat16, which is the upper half of one. Sums are float32 always.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

inline float widened(float number) { return number; }
inline float widened(uint16_t number) {
    const uint32_t bits = uint32_t(number) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

// The nearest bfloat16 number, the even one of two; NaN stays NaN.
inline void narrow(float number, float& to) { to = number; }
inline void narrow(float number, uint16_t& to) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    to = uint16_t((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}

// From memory to lines of float32 numbers: `count` numbers of every element, `step` apart there and `spread` apart here.
template <typename Number>
inline void read(const Number* from, int64_t element, int64_t step, float* to, int64_t line, int64_t spread, int64_t count, int64_t order) {
    if (step == 1 && spread == 1) {
        for (int64_t h = 0; h < order; h++)
            for (int64_t n = 0; n < count; n++) to[h * line + n] = widened(from[h * element + n]);
    } else if (element == 1) {
        for (int64_t n = 0; n < count; n++)
            for (int64_t h = 0; h < order; h++) to[h * line + n * spread] = widened(from[n * step + h]);
    } else {
        for (int64_t h = 0; h < order; h++)
            for (int64_t n = 0; n < count; n++) to[h * line + n * spread] = widened(from[h * element + n * step]);
    }
}

template <typename Number>
inline void write(const float* from, int64_t line, Number* to, int64_t element, int64_t step, int64_t count, int64_t order) {
    if (step == 1) {
        for (int64_t g = 0; g < order; g++)
            for (int64_t n = 0; n < count; n++) narrow(from[g * line + n], to[g * element + n]);
    } else {
        for (int64_t n = 0; n < count; n++)
            for (int64_t g = 0; g < order; g++) narrow(from[g * line + n], to[n * step + g * element]);
    }
}

// Planes that are read, from number `at` on.
struct Source {
    const void* numbers;
    bool is_half;
    const float* wide(int64_t at) const { return static_cast<const float*>(numbers) + at; }
    void gather(int64_t at, int64_t element, int64_t step, float* to, int64_t line, int64_t spread, int64_t count, int64_t order) const {
        if (is_half) read(static_cast<const uint16_t*>(numbers) + at, element, step, to, line, spread, count, order);
        else read(wide(at), element, step, to, line, spread, count, order);
    }
};

// Planes that are written.
struct Target {
    void* numbers;
    bool is_half;
    float* wide(int64_t at) const { return static_cast<float*>(numbers) + at; }
    void scatter(const float* from, int64_t line, int64_t at, int64_t element, int64_t step, int64_t count, int64_t order) const {
        if (is_half) write(from, line, static_cast<uint16_t*>(numbers) + at, element, step, count, order);
        else write(from, line, wide(at), element, step, count, order);
    }
};

}  // namespace
