// Real Fourier transforms over a cyclic group, of vectors of numbers.

#pragma once

#include "vectors.hpp"

namespace {

constexpr double sine_near_zero(double t) {
    double term = t, sum = t;
    for (int n = 1; n < 12; n++) sum += term *= -t * t / ((2 * n) * (2 * n + 1));
    return sum;
}

// cos(2 pi k / n), exactly 0, 1 or -1 where it is.
constexpr float cosine(int k, int n) {
    k %= n;
    if (2 * k > n) k = n - k;
    const double sign = 4 * k > n ? -1 : 1;
    if (4 * k > n) k = n - 2 * k, n = 2 * n;  // cos(pi - t) = -cos(t), in halves of a step
    if (4 * k == n) return 0;
    return float(sign * sine_near_zero(1.57079632679489661923 - 6.28318530717958647692 * k / n));
}
constexpr float sine(int k, int n) { return cosine(((4 * k - n) % (4 * n) + 4 * n) % (4 * n), 4 * n); }

template <int n>
struct Waves {
    float cos[n * n] = {}, sin[n * n] = {};
    constexpr Waves() {
        for (int f = 0; f < n; f++)
            for (int j = 0; j < n; j++) cos[f * n + j] = cosine(f * j, n), sin[f * n + j] = sine(f * j, n);
    }
};

// re[f] + i im[f] = sum over j of x[j] exp(-2 pi i f j / n), f <= n / 2.
template <int n>
inline __attribute__((always_inline)) void transform(const Register* x, Register* re, Register* im) {
    constexpr Waves<n> waves;
    if constexpr (n == 1) {
        re[0] = x[0], im[0] = Register{};
    } else if constexpr (n % 2) {
#pragma GCC unroll 16
        for (int f = 0; f <= n / 2; f++) {
            Register r = x[0], s{};
#pragma GCC unroll 16
            for (int j = 1; j < n; j++) r += waves.cos[f * n + j] * x[j], s -= waves.sin[f * n + j] * x[j];
            re[f] = r, im[f] = s;
        }
    } else {
        constexpr int half = n / 2;
        Register even[half], odd[half], r[half / 2 + 1], s[half / 2 + 1];
#pragma GCC unroll 16
        for (int j = 0; j < half; j++) even[j] = x[j] + x[j + half], odd[j] = x[j] - x[j + half];
        transform<half>(even, r, s);
#pragma GCC unroll 16
        for (int f = 0; f <= half / 2; f++) re[2 * f] = r[f], im[2 * f] = s[f];
#pragma GCC unroll 16
        for (int f = 1; f <= half; f += 2) {
            Register a = odd[0], b{};
#pragma GCC unroll 16
            for (int j = 1; j < half; j++) {
                const float c = waves.cos[f * n + j], w = waves.sin[f * n + j];
                if (c != 0) a += c * odd[j];
                if (w != 0) b -= w * odd[j];
            }
            re[f] = a, im[f] = b;
        }
    }
}

// x[j] = re[0] + (-1)^j re[n/2] + sum over 0 < f < n/2 of re[f] cos(2 pi f j / n) - im[f] sin(2 pi f j / n).
template <int n>
inline __attribute__((always_inline)) void invert(const Register* re, const Register* im, Register* x) {
    constexpr Waves<n> waves;
    if constexpr (n == 1) {
        x[0] = re[0];
    } else if constexpr (n % 2) {
#pragma GCC unroll 16
        for (int j = 0; j < n; j++) {
            Register sum = re[0];
#pragma GCC unroll 16
            for (int f = 1; f <= n / 2; f++) sum += waves.cos[f * n + j] * re[f] - waves.sin[f * n + j] * im[f];
            x[j] = sum;
        }
    } else {
        constexpr int half = n / 2;
        Register even[half], r[half / 2 + 1], s[half / 2 + 1];
#pragma GCC unroll 16
        for (int f = 0; f <= half / 2; f++) r[f] = re[2 * f], s[f] = im[2 * f];
        invert<half>(r, s, even);
#pragma GCC unroll 16
        for (int j = 0; j < half; j++) {
            Register odd{};
#pragma GCC unroll 16
            for (int f = 1; f <= half; f += 2) {
                const float c = waves.cos[f * n + j], w = waves.sin[f * n + j];
                if (c != 0) odd += c * re[f];
                if (w != 0 && f < half) odd -= w * im[f];
            }
            x[j] = even[j] + odd, x[j + half] = even[j] - odd;
        }
    }
}

}  // namespace
