// What networks do to planes between their convolutions, without gradients: pool, blur and upsample by two, in one pass
// over memory. Planes are contiguous; each thread takes whole ones.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vectors.hpp"

namespace {

// The larger number; NaN if either is.
inline Register larger(Register a, Register b) {
    const auto takes = (b > a) | (b != b);
    return takes ? b : a;
}

// The first and the second number of every pair.
inline void split(Register a, Register b, Register& first, Register& second) {
    Indices even, odd;
    for (int lane = 0; lane < kLanes; lane++) even[lane] = 2 * lane, odd[lane] = 2 * lane + 1;
    first = pick(a, b, even), second = pick(a, b, odd);
}

// Pairs of a number of each.
inline void join(Register first, Register second, Register& a, Register& b) {
    Indices low, high;
    for (int lane = 0; lane < kLanes; lane++)
        low[lane] = lane / 2 + lane % 2 * kLanes, high[lane] = low[lane] + kLanes / 2;
    a = pick(first, second, low), b = pick(first, second, high);
}

// Pixel `at` of a line whose border reflects.
inline int64_t reflected(int64_t at, int64_t size) { return at < 0 ? -at : at >= size ? 2 * size - 2 - at : at; }

// Even sides take (1, 3, 3, 1) / 8, whose output lies between the pixels; odd ones (1, 4, 6, 4, 1) / 16.
struct LowPass {
    bool is_odd;
    float outer, inner, middle;
    explicit LowPass(int64_t size)
        : is_odd(size % 2), outer(is_odd ? 1 / 16.f : 1 / 8.f), inner(is_odd ? 4 / 16.f : 3 / 8.f), middle(6 / 16.f) {}
};

// Between which two of the small lines a line lies, and how near to the second.
struct Place {
    int64_t lower, upper;
    float share;
    Place(int64_t at, int64_t size) {
        lower = size % 2 ? at / 2 : (at + 1) / 2 - 1;
        share = size % 2 ? 0.5f * (at % 2) : at % 2 ? 0.25f : 0.75f;
        upper = std::min(lower + 1, (size + 1) / 2 - 1), lower = std::max<int64_t>(lower, 0);
    }
};

// A line with room for what vectors reach beyond it.
struct Line {
    std::vector<float> numbers;
    explicit Line(int64_t size) : numbers(up(size) + 3 * kLanes) {}
    float* at(int64_t n) { return numbers.data() + kLanes + n; }
};

}  // namespace

// Largest number of every 2x2 window.
extern "C" void max_pool(const float* x, float* y, int64_t planes, int64_t height, int64_t width, int64_t threads) {
    const int64_t rows = height / 2, columns = width / 2;
#pragma omp parallel num_threads(threads)
    {
        Line line(2 * columns * rows);
#pragma omp for schedule(static)
        for (int64_t p = 0; p < planes; p++) {
            for (int64_t r = 0; r < rows; r++) {
                const float *above = x + (p * height + 2 * r) * width, *below = above + width;
                for (int64_t c = 0; c < 2 * columns; c += kLanes)
                    store(line.at(2 * columns * r + c), larger(load(above + c, width - c), load(below + c, width - c)));
            }
            float* to = y + p * rows * columns;
            for (int64_t n = 0; n < rows * columns; n += kLanes) {
                Register a, b;
                split(load(line.at(2 * n)), load(line.at(2 * n + kLanes)), a, b);
                store(to + n, larger(a, b), rows * columns - n);
            }
        }
    }
}

// A binomial low-pass, then every second pixel; sides of three pixels or more, whose borders reflect.
extern "C" void blur_pool(const float* x, float* y, int64_t planes, int64_t height, int64_t width, int64_t threads) {
    const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
    const LowPass down(height), across(width);
#pragma omp parallel num_threads(threads)
    {
        Line sum(width + 4), even(columns + 2), odd(columns + 2);
#pragma omp for schedule(static)
        for (int64_t p = 0; p < planes; p++)
            for (int64_t r = 0; r < rows; r++) {
                const float* from[5];
                for (int64_t k = 0; k < (down.is_odd ? 5 : 4); k++)
                    from[k] = x + (p * height + reflected(2 * r + k - (down.is_odd ? 2 : 1), height)) * width;
                for (int64_t c = 0; c < width; c += kLanes) {
                    const auto row = [&](int k) { return load(from[k] + c, width - c); };
                    store(sum.at(c), down.is_odd ? down.outer * (row(0) + row(4)) + down.inner * (row(1) + row(3)) + down.middle * row(2)
                                                 : down.outer * (row(0) + row(3)) + down.inner * (row(1) + row(2)));
                }
                *sum.at(-1) = *sum.at(1), *sum.at(-2) = *sum.at(2);
                *sum.at(width) = *sum.at(width - 2), *sum.at(width + 1) = *sum.at(width - 3);
                for (int64_t c = 0; c <= columns; c += kLanes) {
                    Register a, b;
                    const float* line = sum.at(2 * c - (across.is_odd ? 2 : 1));
                    split(load(line), load(line + kLanes), a, b);
                    store(even.at(c), a), store(odd.at(c), b);
                }
                if (across.is_odd) *even.at(columns + 1) = *sum.at(width + 1);
                float* to = y + (p * rows + r) * columns;
                for (int64_t c = 0; c < columns; c += kLanes) {
                    const Register next = load(even.at(c + 1));
                    const Register found = across.is_odd
                        ? across.outer * (load(even.at(c)) + load(even.at(c + 2))) + across.inner * (load(odd.at(c)) + load(odd.at(c + 1))) + across.middle * next
                        : across.outer * (load(even.at(c)) + load(odd.at(c + 1))) + across.inner * (load(odd.at(c)) + next);
                    store(to + c, found, columns - c);
                }
            }
    }
}

// Linear interpolation to `height` and `width`, about the centre, of planes half as large.
extern "C" void upsample(const float* x, float* y, int64_t planes, int64_t height, int64_t width, int64_t threads) {
    const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
#pragma omp parallel num_threads(threads)
    {
        Line line(columns + 2);
#pragma omp for schedule(static)
        for (int64_t p = 0; p < planes; p++)
            for (int64_t r = 0; r < height; r++) {
                const Place place(r, height);
                const float *above = x + (p * rows + place.lower) * columns, *below = x + (p * rows + place.upper) * columns;
                for (int64_t c = 0; c < columns; c += kLanes) {
                    const Register a = load(above + c, columns - c), b = load(below + c, columns - c);
                    store(line.at(c), a + place.share * (b - a));
                }
                *line.at(-1) = *line.at(0), *line.at(columns) = *line.at(columns - 1);
                float* to = y + (p * height + r) * width;
                for (int64_t c = 0; c < columns; c += kLanes) {
                    const Register before = load(line.at(c - 1)), here = load(line.at(c)), after = load(line.at(c + 1));
                    Register a, b;
                    if (width % 2) join(here, 0.5f * (here + after), a, b);
                    else join(0.25f * before + 0.75f * here, 0.75f * here + 0.25f * after, a, b);
                    store(to + 2 * c, a, width - 2 * c);
                    if (2 * c + kLanes < width) store(to + 2 * c + kLanes, b, width - 2 * c - kLanes);
                }
            }
    }
}
