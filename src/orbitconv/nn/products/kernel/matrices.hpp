// Small matrix products whose sums stay in registers.

#pragma once

#include <algorithm>

#include "vectors.hpp"

namespace {

#if defined(__AVX512F__)
constexpr int kRows = 8, kOuterRows = 4;
#elif defined(__AVX2__)
constexpr int kRows = 4, kOuterRows = 2;
#else
constexpr int kRows = 8, kOuterRows = 4;
#endif
constexpr int kOuterColumns = 4;

// y[r, v] (+)= sum over n < inner of a[n, r] b[n, v], for `rows` rows and `vectors` vectors.
template <int rows, int vectors>
void mix_tile(int64_t inner, const float* a, const float* b, int64_t b_step, float* y, int64_t y_step, bool is_first) {
    Register sum[rows][vectors];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = is_first ? Register{} : load(y + r * y_step + v * kLanes);
    for (int64_t n = 0; n < inner; n++, a += rows, b += b_step) {
        Register line[vectors];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) line[v] = load(b + v * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] += a[r] * line[v];
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) store(y + r * y_step + v * kLanes, sum[r][v]);
}

template <int rows>
constexpr int most_vectors() {
    return kLanes == 8 ? (rows <= 3 ? 4 : 3) : (rows <= 6 ? 4 : 3);
}

// The same for any number of vectors.
template <int rows>
void mix_rows(int64_t inner, const float* a, const float* b, int64_t b_step, float* y, int64_t y_step, int64_t vectors,
              bool is_first) {
    constexpr int most = most_vectors<rows>();
    for (int64_t v = 0; v < vectors;) {
        const int64_t left = vectors - v, offset = v * kLanes;
        const int64_t now = left == most + 1 ? (left + 1) / 2 : std::min<int64_t>(left, most);
        switch (now) {
            case 4: if constexpr (most == 4) mix_tile<rows, 4>(inner, a, b + offset, b_step, y + offset, y_step, is_first); break;
            case 3: mix_tile<rows, 3>(inner, a, b + offset, b_step, y + offset, y_step, is_first); break;
            case 2: mix_tile<rows, 2>(inner, a, b + offset, b_step, y + offset, y_step, is_first); break;
            default: mix_tile<rows, 1>(inner, a, b + offset, b_step, y + offset, y_step, is_first);
        }
        v += now;
    }
}

// Rows in blocks as even as can be.
struct Blocks {
    int64_t count, least, rest;
    explicit Blocks(int64_t rows) : count((rows + kRows - 1) / kRows), least(count ? rows / count : 0), rest(count ? rows % count : 0) {}
    int64_t rows(int64_t block) const { return least + (block < rest); }
};

// The same for any number of rows; `a` is packed as [block][inner][row of the block].
void mix(const Blocks& blocks, int64_t inner, const float* a, const float* b, int64_t b_step, float* y, int64_t y_step,
         int64_t vectors, bool is_first) {
    for (int64_t block = 0; block < blocks.count; block++) {
        const int64_t rows = blocks.rows(block);
        switch (rows) {
#define CASE(n) case n: if constexpr (n <= kRows) mix_rows<n>(inner, a, b, b_step, y, y_step, vectors, is_first); break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
        }
        a += inner * rows, y += rows * y_step;
    }
}

// Sum the lanes of kLanes registers: lane n of the result is the sum of sums[n].
template <int count>
inline __attribute__((always_inline)) void halve(Register* sums) {
    constexpr int piece = count / 2;  // lanes of each sum that are left afterwards
    Indices low, high;
#pragma GCC unroll 16
    for (int lane = 0; lane < kLanes; lane++) {
        const int segment = lane / piece, within = lane % piece, each = kLanes / count;  // sums in a register so far
        const int from = segment < each ? segment * count : kLanes + (segment - each) * count;
        low[lane] = from + within, high[lane] = from + within + piece;
    }
#pragma GCC unroll 16
    for (int n = 0; n < count / 2; n++) {
        const Register a = sums[2 * n], b = sums[2 * n + 1];
        sums[n] = pick(a, b, low) + pick(a, b, high);
    }
    if constexpr (count > 2) halve<count / 2>(sums);
}

// out[r, k] += sum over pixels of g[r] b[k], r < rows, k < kOuterColumns.
template <int rows>
void outer_tile(int64_t vectors, const float* g, int64_t g_step, const float* b, int64_t b_step, float* out) {
    constexpr int numbers = kOuterRows * kOuterColumns;
    Register sum[numbers];
#pragma GCC unroll 16
    for (int n = 0; n < numbers; n++) sum[n] = Register{};
    for (int64_t v = 0; v < vectors; v++, g += kLanes, b += kLanes) {
        Register line[kOuterColumns];
#pragma GCC unroll 4
        for (int k = 0; k < kOuterColumns; k++) line[k] = load(b + k * b_step);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const Register number = load(g + r * g_step);
#pragma GCC unroll 4
            for (int k = 0; k < kOuterColumns; k++) sum[r * kOuterColumns + k] += number * line[k];
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < numbers; n += kLanes) {
        halve<kLanes>(sum + n);
        store(out + n, load(out + n) + sum[n]);
    }
}

}  // namespace
