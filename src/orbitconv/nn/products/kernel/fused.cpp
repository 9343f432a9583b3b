// The product of a layer on a cyclic group whose basis is steerable, on a CPU: filters first, in Fourier space.
//
//     y[g] = sum over i, h of x[i, h] correlated with filter[g, i, h]
//
// Every atom is made of complex filters v of an angular frequency k. With X(f) the transform of the input over the group,
// that of the output is
//
//     Y(F) = sum over i, v of C[i, v](F - k) (v * X[i](F - k)),   C(f) = sum over m of c[m] exp(2 pi i f m / N)
//
// For a tile of pixels and a block of input fields, all of it in cache:
//   1. transform  the rows of the input to N real planes: pairs (X(0), X(N/2)) and (re X(f), im X(f));
//   2. filter     every plane with every v. The taps are orbits of quarter turns, and v(R p) = i^k v(p): the four numbers
//                 of an orbit are first summed to a transform over C4, then multiplied by a small matrix;
//   3. mix        one matrix product for every F. A complex product is three real ones, for
//                 (re, im, re + im): there are G = 2 + 3 (N/2 - 1) products in all;
//   4. invert     once for each output field.
// The gradient of the input is the same product with other coefficients; that of the coefficients puts the transform of
// the output's gradient and the filtered planes through matrix products over the pixels of the tile.
//
// Tiles do not depend on each other, and sums over tiles are taken in a fixed order for each number of threads.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "matrices.hpp"
#include "storage.hpp"
#include "transforms.hpp"
#include "vectors.hpp"

// What is computed, as `orbitconv.nn.products.kernel.fused` fills it in. `classes` are the filters of k = 0, 2, and 1 or 3 modulo 4:
// how many rows each has; `matrices` holds one after another, each as [row][number of an orbit]. `terms` has a row for each
// term: pair of planes, kind, product, slot, and the rows that its four numbers are in; `signs` their factors.
extern "C" {
struct Problem {
    const float *matrices, *signs;
    const int64_t* terms;
    int64_t order, side, rank, num_terms, classes[3];
    int64_t batch, inputs, outputs, in_height, in_width, out_height, out_width, stride, spread, top, left;
    int64_t x_steps[5], y_steps[5];  // image, field, element, row, column
    int64_t pixels_at_a_time, fields_at_a_time, threads, is_half;  // planes are bfloat16
};
}

namespace {

enum Kind { kNumber = 1, kTwo = 2, kThree = 3 };

struct Term {
    int64_t kind, product, slot, from[4];
    float signs[3];
};

// What does not change from tile to tile.
struct Plan {
    const Problem p;
    int64_t products, area, orbits, reach, columns, column_blocks, rows, line, plane, pixels, b_step, y_step, band, tiles;
    std::vector<std::vector<Term>> terms;
    std::vector<int64_t> taps;       // orbits of four, then the centre
    std::vector<float> matrices[3];  // packed
    int64_t inner[3], chunk;

    explicit Plan(const Problem& problem) : p(problem), terms(problem.order / 2) {
        products = 2 + 3 * (p.order / 2 - 1), area = p.side * p.side, orbits = (area - 1) / 4;
        reach = (p.side - 1) / p.stride;
        column_blocks = std::max<int64_t>(1, (p.out_width + p.pixels_at_a_time - 1) / p.pixels_at_a_time);
        columns = (p.out_width + column_blocks - 1) / column_blocks;
        if (column_blocks > 1) columns = up(columns);
        column_blocks = (p.out_width + columns - 1) / columns;
        rows = std::max<int64_t>(1, std::min(p.pixels_at_a_time / columns, p.batch * p.out_height));
        line = up(up(columns) + reach);
        const int64_t segments = rows / p.out_height + 2;
        band = rows * p.stride + segments * p.side;
        plane = band * line * p.stride;
        pixels = rows * columns;
        b_step = up(pixels) + kLanes;
        y_step = b_step;
        tiles = (p.batch * p.out_height + rows - 1) / rows * column_blocks;
        for (int64_t t = 0; t < p.num_terms; t++) {
            const int64_t* row = p.terms + 8 * t;
            const float* signs = p.signs + 3 * t;
            terms[row[0]].push_back({row[1], row[2], row[3], {row[4], row[5], row[6], row[7]}, {signs[0], signs[1], signs[2]}});
        }
        const int64_t last = p.side - 1, centre = p.side / 2;
        for (int64_t y = 0; y < centre; y++)
            for (int64_t x = 0; x <= centre; x++) {
                int64_t at[2] = {y, x};
                if (x == centre && y == centre) continue;
                for (int turn = 0; turn < 4; turn++) {
                    taps.push_back(at[0] * line * p.stride + at[1] % p.stride * line + at[1] / p.stride);
                    const int64_t next[2] = {at[1], last - at[0]};
                    at[0] = next[0], at[1] = next[1];
                }
            }
        taps.push_back(centre * line * p.stride + centre % p.stride * line + centre / p.stride);
        inner[0] = orbits + 1, inner[1] = orbits, inner[2] = 2 * orbits;
        const float* matrix = p.matrices;
        for (int c = 0; c < 3; c++) {
            const Blocks blocks(p.classes[c]);
            for (int64_t block = 0; block < blocks.count; block++) {
                const int64_t rows = blocks.rows(block);
                for (int64_t n = 0; n < inner[c]; n++)
                    for (int64_t r = 0; r < rows; r++) matrices[c].push_back(matrix[r * inner[c] + n]);
                matrix += rows * inner[c];
            }
        }
        chunk = std::max<int64_t>(1, std::min<int64_t>(8, 160 / (area + p.rank)));
    }

    int64_t planes_size() const { return p.fields_at_a_time * p.order * plane + kLanes; }
    int64_t filtered_size() const { return (products * p.fields_at_a_time * p.rank + kOuterColumns) * b_step; }
    int64_t mixed_size() const { return (products * p.outputs + kOuterRows) * y_step; }
    int64_t scratch_size() const {
        return std::max(p.order * line * p.stride, 2 * chunk * kLanes * (area + 2 * p.rank + 2)) + p.order * kLanes;
    }
};

// Memory of a thread, kept from call to call.
struct Memory {
    float* numbers = nullptr;
    int64_t size = 0;
    float* of(int64_t wanted) {
        if (wanted > size) {
            std::free(numbers);
            numbers = static_cast<float*>(std::aligned_alloc(64, up(wanted, 16) * 4));
            size = numbers ? wanted : 0;
            if (numbers) std::memset(numbers, 0, up(wanted, 16) * 4);
        }
        return numbers;
    }
    ~Memory() { std::free(numbers); }
};
thread_local Memory planes_memory, filtered_memory, mixed_memory, scratch_memory;

// Rows y0 to y1 of one image; `base` is the first row of its band of input, `offset` its first pixel in the tile.
struct Segment {
    int64_t image, y0, y1, base, offset;
};
struct Position {
    int64_t source, target;
};

struct Tile {
    std::vector<Segment> segments;
    std::vector<Position> positions;
    int64_t column, width, pixels;

    void set(const Plan& plan, int64_t index) {
        const Problem& p = plan.p;
        segments.clear(), positions.clear();
        column = index % plan.column_blocks * plan.columns;
        width = std::min(plan.columns, p.out_width - column);
        const int64_t first = index / plan.column_blocks * plan.rows, last = std::min(first + plan.rows, p.batch * p.out_height);
        int64_t base = 0;
        for (int64_t row = first; row < last;) {
            const int64_t y0 = row % p.out_height, y1 = std::min(p.out_height, y0 + last - row);
            segments.push_back({row / p.out_height, y0, y1, base, (row - first) * width});
            base += (y1 - y0 - 1) * p.stride + p.side, row += y1 - y0;
        }
        pixels = (last - first) * width;
        for (const Segment& s : segments)
            for (int64_t y = s.y0; y < s.y1; y++)
                for (int64_t x = 0; x < width; x += kLanes)  // the last vector runs into the next row, which comes later
                    positions.push_back({(s.base + (y - s.y0) * p.stride) * plan.line * p.stride + x, s.offset + (y - s.y0) * width + x});
    }
};

template <int order>
void transform_rows(const Plan& plan, const Tile& tile, const Source& x, int64_t field, float* planes, float* scratch) {
    const Problem& p = plan.p;
    const int64_t line = plan.line * p.stride, used = tile.width + plan.reach;
    const int64_t height = (p.in_height - 1) * p.spread + 1, width = (p.in_width - 1) * p.spread + 1;
    for (const Segment& s : tile.segments) {
        const int64_t rows = (s.y1 - s.y0 - 1) * p.stride + p.side;
        for (int64_t r = 0; r < rows; r++) {
            const int64_t y = s.y0 * p.stride - p.top + r;
            float* to = planes + (s.base + r) * line;
            if (y < 0 || y >= height || y % p.spread) {
                for (int h = 0; h < order; h++) std::memset(to + h * plan.plane, 0, line * sizeof(float));
                continue;
            }
            const int64_t from = s.image * p.x_steps[0] + field * p.x_steps[1] + y / p.spread * p.x_steps[3];
            std::memset(scratch, 0, order * line * sizeof(float));
            for (int64_t phase = 0; phase < p.stride; phase++) {
                const int64_t start = tile.column * p.stride + phase - p.left;  // column of the first number
                int64_t n = start < 0 ? (-start + p.stride - 1) / p.stride : 0;
                while ((start + n * p.stride) % p.spread) n++;
                const int64_t end = std::min(used, width > start ? (width - start + p.stride - 1) / p.stride : 0);
                if (n < end)
                    x.gather(from + (start + n * p.stride) / p.spread * p.x_steps[4], p.x_steps[2], p.x_steps[4] * p.stride,
                           scratch + phase * plan.line + n, line, p.spread, (end - n + p.spread - 1) / p.spread, order);
            }
            for (int64_t phase = 0; phase < p.stride; phase++)
                for (int64_t n = phase * plan.line; n < phase * plan.line + used; n += kLanes) {
                    Register v[order], re[order / 2 + 1], im[order / 2 + 1];
                    for (int h = 0; h < order; h++) v[h] = load(scratch + h * line + n);
                    transform<order>(v, re, im);
                    store(to + n, re[0]), store(to + plan.plane + n, re[order / 2]);
                    for (int f = 1; f < order / 2; f++)
                        store(to + 2 * f * plan.plane + n, re[f]), store(to + (2 * f + 1) * plan.plane + n, im[f]);
                }
        }
    }
}

// Filter the planes of one field; `filtered` is its first row in every product.
void filter(const Plan& plan, const Tile& tile, const float* planes, float* filtered, int64_t product_step, float* scratch) {
    const Problem& p = plan.p;
    const int64_t count = tile.positions.size();
    for (int64_t first = 0; first < count; first += plan.chunk) {
        const int64_t now = std::min(plan.chunk, count - first), step = 2 * now * kLanes;
        const Position* positions = tile.positions.data() + first;
        float* sums[3] = {scratch, scratch + plan.inner[0] * step, scratch + (plan.inner[0] + plan.inner[1]) * step};
        float* done = scratch + plan.area * step;
        std::memset(done + 2 * p.rank * now * kLanes, 0, now * kLanes * sizeof(float));  // for terms that lack a part
        for (int64_t pair = 0; pair < p.order / 2; pair++) {
            for (int64_t half = 0; half < 2; half++)
                for (int64_t n = 0; n < now; n++) {
                    const float* at = planes + (2 * pair + half) * plan.plane + positions[n].source;
                    const int64_t lane = (half * now + n) * kLanes;
                    const int64_t* tap = plan.taps.data();
                    float *even = sums[0] + lane, *turned = sums[1] + lane, *odd = sums[2] + lane, *other = odd + plan.orbits * step;
                    for (int64_t o = 0; o < plan.orbits; o++, tap += 4, even += step, turned += step, odd += step, other += step) {
                        const Register a = load(at + tap[0]), b = load(at + tap[1]), c = load(at + tap[2]), d = load(at + tap[3]);
                        const Register ac = a + c, bd = b + d;
                        store(even, ac + bd), store(turned, ac - bd), store(odd, a - c), store(other, b - d);
                    }
                    store(even, load(at + *tap));
                }
            float* out = done;
            for (int c = 0; c < 3; c++) {  // rows of the outcome: (class, row), with both planes of the pair side by side
                mix(Blocks(p.classes[c]), plan.inner[c], plan.matrices[c].data(), sums[c], step, out, step, 2 * now, true);
                out += p.classes[c] * step;
            }
            for (const Term& term : plan.terms[pair]) {
                const float* from[4];
                for (int n = 0; n < 4; n++) {
                    const int64_t row = term.from[n] % p.rank, half = term.from[n] / p.rank;
                    from[n] = half < 2 ? done + row * step + half * now * kLanes : done + 2 * p.rank * now * kLanes;
                }
                float* to = filtered + term.product * product_step + term.slot * plan.b_step;
                for (int64_t n = 0; n < now; n++) {
                    const int64_t lane = n * kLanes, target = positions[n].target;
                    const Register re = load(from[0] + lane) + term.signs[0] * load(from[1] + lane);
                    if (term.kind == kNumber) {
                        store(to + target, re);
                        continue;
                    }
                    const Register im = term.signs[1] * load(from[2] + lane) + term.signs[2] * load(from[3] + lane);
                    store(to + target, re);
                    if (term.kind == kTwo) {
                        store(to + plan.b_step + target, im);
                    } else {
                        store(to + product_step + target, im);
                        store(to + 2 * product_step + target, re + im);
                    }
                }
            }
        }
    }
}

// What is done to outputs before they are stored.
struct Finish {
    const float* bias;
    Source added;
    bool rectify;
};

// A run of pixels that lie at equal steps in memory.
struct Run {
    int64_t memory, pixel, count;
};

void find_runs(const Plan& plan, const Tile& tile, std::vector<Run>& runs) {
    const Problem& p = plan.p;
    runs.clear();
    const bool is_whole = tile.width == p.out_width && p.y_steps[3] == p.y_steps[4] * p.out_width;
    for (const Segment& s : tile.segments) {
        const int64_t memory = s.image * p.y_steps[0] + s.y0 * p.y_steps[3] + tile.column * p.y_steps[4];
        if (is_whole) {
            runs.push_back({memory, s.offset, (s.y1 - s.y0) * tile.width});
        } else {
            for (int64_t y = 0; y < s.y1 - s.y0; y++) runs.push_back({memory + y * p.y_steps[3], s.offset + y * tile.width, tile.width});
        }
    }
}

// From the frequencies of the outputs to their elements; then come what is added and the rectifier, if they are wanted.
template <int order>
void invert_rows(const Plan& plan, const std::vector<Run>& runs, const float* mixed, const Finish& finish, const Target& y) {
    const Problem& p = plan.p;
    const int64_t product = p.outputs * plan.y_step, element = p.y_steps[2], column = p.y_steps[4];
    for (int64_t o = 0; o < p.outputs; o++) {
        const Register shift = Register{} + (finish.bias ? finish.bias[o] : 0.0f);
        for (const Run& run : runs) {
            const float* from = mixed + o * plan.y_step + run.pixel;
            int64_t at = o * p.y_steps[1] + run.memory;
            for (int64_t n = 0; n < run.count; n += kLanes, from += kLanes, at += kLanes * column) {
                Register re[order / 2 + 1], im[order / 2 + 1], v[order];
                re[0] = load(from) + shift, re[order / 2] = load(from + product);
                for (int f = 1; f < order / 2; f++) {
                    const float* parts = from + (3 * f - 1) * product;
                    const Register a = load(parts), b = load(parts + product), c = load(parts + 2 * product);
                    re[f] = a - b, im[f] = c - a - b;
                }
                invert<order>(re, im, v);
                const int64_t count = std::min<int64_t>(kLanes, run.count - n);
                const bool is_direct = column == 1 && count == kLanes && !y.is_half;
                if (finish.added.numbers) {
                    if (is_direct) {
                        for (int g = 0; g < order; g++) v[g] += load(finish.added.wide(at) + g * element);
                    } else {
                        float numbers[order * kLanes] = {};
                        finish.added.gather(at, element, column, numbers, kLanes, 1, count, order);
                        for (int g = 0; g < order; g++) v[g] += load(numbers + g * kLanes);
                    }
                }
                if (finish.rectify)
                    for (int g = 0; g < order; g++) v[g] = v[g] < 0 ? Register{} : v[g];  // NaN stays
                if (is_direct) {
                    for (int g = 0; g < order; g++) store(y.wide(at) + g * element, v[g]);
                } else {
                    float numbers[order * kLanes];
                    for (int g = 0; g < order; g++) store(numbers + g * kLanes, v[g]);
                    y.scatter(numbers, kLanes, at, element, column, count, order);
                }
            }
        }
    }
}

// From the gradient of the outputs to that of their products; numbers beyond the tile are zero.
template <int order>
void transform_gradient(const Plan& plan, const std::vector<Run>& runs, int64_t pixels, const Source& y, float* mixed) {
    const Problem& p = plan.p;
    const int64_t product = p.outputs * plan.y_step, element = p.y_steps[2], column = p.y_steps[4];
    for (int64_t o = 0; o < p.outputs; o++) {
        for (const Run& run : runs) {
            float* to = mixed + o * plan.y_step + run.pixel;
            int64_t from = o * p.y_steps[1] + run.memory;
            for (int64_t n = 0; n < run.count; n += kLanes, to += kLanes, from += kLanes * column) {
                Register re[order / 2 + 1], im[order / 2 + 1], v[order];
                const int64_t count = std::min<int64_t>(kLanes, run.count - n);
                if (column == 1 && count == kLanes && !y.is_half) {
                    for (int g = 0; g < order; g++) v[g] = load(y.wide(from) + g * element);
                } else {
                    float numbers[order * kLanes] = {};
                    y.gather(from, element, column, numbers, kLanes, 1, count, order);
                    for (int g = 0; g < order; g++) v[g] = load(numbers + g * kLanes);
                }
                transform<order>(v, re, im);
                store(to, re[0]), store(to + product, re[order / 2]);
                for (int f = 1; f < order / 2; f++) {
                    float* at = to + (3 * f - 1) * product;
                    store(at, re[f] - im[f]), store(at + product, -(re[f] + im[f])), store(at + 2 * product, im[f]);
                }
            }
        }
        if (pixels % kLanes)
            for (int64_t n = 0; n < plan.products; n++)
                std::memset(mixed + n * product + o * plan.y_step + pixels, 0, (up(pixels) - pixels) * sizeof(float));
    }
}

template <int order>
int correlate_tiles(const Plan& plan, const Source& x, const float* packed, const Finish& finish, const Target& y) {
    const Problem& problem = plan.p;
    const Blocks blocks(problem.outputs);
    int failed = 0;
#pragma omp parallel num_threads(problem.threads) reduction(max : failed)
    {
        float *planes = planes_memory.of(plan.planes_size()), *filtered = filtered_memory.of(plan.filtered_size());
        float *mixed = mixed_memory.of(plan.mixed_size()), *scratch = scratch_memory.of(plan.scratch_size());
        failed = !planes || !filtered || !mixed || !scratch;
        Tile tile;
        std::vector<Run> runs;
#pragma omp for schedule(dynamic)
        for (int64_t index = 0; index < plan.tiles; index++) {
            if (failed) continue;
            tile.set(plan, index);
            find_runs(plan, tile, runs);
            const float* a = packed;
            const int64_t vectors = up(tile.pixels) / kLanes, most = blocks.rows(0) <= kRows * 3 / 4 ? 4 : 3;
            const int64_t pieces = (vectors + most - 1) / most;
            for (int64_t first = 0; first < problem.inputs; first += problem.fields_at_a_time) {
                const int64_t fields = std::min(problem.fields_at_a_time, problem.inputs - first);
                const int64_t inner = fields * problem.rank, product_step = inner * plan.b_step;
                for (int64_t i = 0; i < fields; i++) {
                    float* own = planes + i * order * plan.plane;
                    transform_rows<order>(plan, tile, x, first + i, own, scratch);
                    filter(plan, tile, own, filtered + i * problem.rank * plan.b_step, product_step, scratch);
                }
                for (int64_t n = 0; n < plan.products; n++, a += inner * problem.outputs)
                    for (int64_t piece = 0; piece < pieces; piece++) {  // few vectors at a time stay near
                        const int64_t from = piece * vectors / pieces, to = (piece + 1) * vectors / pieces;
                        mix(blocks, inner, a, filtered + n * product_step + from * kLanes, plan.b_step,
                            mixed + n * problem.outputs * plan.y_step + from * kLanes, plan.y_step, to - from, first == 0);
                    }
            }
            invert_rows<order>(plan, runs, mixed, finish, y);
        }
    }
    return failed;
}

template <int order>
int differentiate_tiles(const Plan& plan, const Source& x, const Source& gradient, float* raw, float* bias) {
    const Problem& problem = plan.p;
    const int64_t most = problem.fields_at_a_time, blocks = (problem.inputs + most - 1) / most;
    const int64_t row_blocks = (problem.outputs + kOuterRows - 1) / kOuterRows;
    const int64_t column_blocks = (most * problem.rank + kOuterColumns - 1) / kOuterColumns;
    constexpr int64_t numbers = kOuterRows * kOuterColumns;
    const int64_t size = blocks * plan.products * row_blocks * column_blocks * numbers;
    const int64_t threads = std::min(problem.threads, plan.tiles);
    std::vector<float> sums(threads * size);
    std::vector<double> totals(bias ? threads * problem.outputs : 0);
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(max : failed)
    for (int64_t part = 0; part < threads; part++) {
        float *planes = planes_memory.of(plan.planes_size()), *filtered = filtered_memory.of(plan.filtered_size());
        float *mixed = mixed_memory.of(plan.mixed_size()), *scratch = scratch_memory.of(plan.scratch_size());
        failed = !planes || !filtered || !mixed || !scratch;
        if (failed) continue;
        Tile tile;
        std::vector<Run> runs;
        for (int64_t index = part * plan.tiles / threads; index < (part + 1) * plan.tiles / threads; index++) {
            tile.set(plan, index);
            find_runs(plan, tile, runs);
            transform_gradient<order>(plan, runs, tile.pixels, gradient, mixed);
            const int64_t vectors = up(tile.pixels) / kLanes;
            for (int64_t o = 0; bias && o < problem.outputs; o++) {  // the product for F = 0 holds sums over the elements
                Register sum{};
                for (int64_t v = 0; v < vectors; v++) sum += load(mixed + o * plan.y_step + v * kLanes);
                for (int lane = 0; lane < kLanes; lane++) totals[part * problem.outputs + o] += sum[lane];
            }
            for (int64_t first = 0; first < problem.inputs; first += most) {
                const int64_t fields = std::min(most, problem.inputs - first), inner = fields * problem.rank;
                const int64_t product_step = inner * plan.b_step;
                for (int64_t i = 0; i < fields; i++) {
                    float* own = planes + i * order * plan.plane;
                    transform_rows<order>(plan, tile, x, first + i, own, scratch);
                    filter(plan, tile, own, filtered + i * problem.rank * plan.b_step, product_step, scratch);
                }
                if (tile.pixels % kLanes)
                    for (int64_t n = 0; n < plan.products * inner; n++)
                        std::memset(filtered + n * plan.b_step + tile.pixels, 0, (vectors * kLanes - tile.pixels) * sizeof(float));
                for (int64_t n = 0; n < plan.products; n++) {
                    float* out = sums.data() + part * size + (first / most * plan.products + n) * row_blocks * column_blocks * numbers;
                    for (int64_t k = 0; k * kOuterColumns < inner; k++)
                        for (int64_t o = 0; o < row_blocks; o++) {
                            const float* g = mixed + (n * problem.outputs + o * kOuterRows) * plan.y_step;
                            const float* b = filtered + n * product_step + k * kOuterColumns * plan.b_step;
                            float* to = out + (o * column_blocks + k) * numbers;
                            switch (std::min<int64_t>(kOuterRows, problem.outputs - o * kOuterRows)) {
                                case 4: if constexpr (kOuterRows == 4) outer_tile<4>(vectors, g, plan.y_step, b, plan.b_step, to); break;
                                case 3: if constexpr (kOuterRows == 4) outer_tile<3>(vectors, g, plan.y_step, b, plan.b_step, to); break;
                                case 2: outer_tile<2>(vectors, g, plan.y_step, b, plan.b_step, to); break;
                                default: outer_tile<1>(vectors, g, plan.y_step, b, plan.b_step, to);
                            }
                        }
                }
            }
        }
    }
    if (failed) return failed;
    for (int64_t part = 1; part < threads; part++)
        for (int64_t n = 0; n < size; n++) sums[n] += sums[part * size + n];
    for (int64_t o = 0; bias && o < problem.outputs; o++) {
        for (int64_t part = 1; part < threads; part++) totals[o] += totals[part * problem.outputs + o];
        bias[o] = float(totals[o]);
    }
    for (int64_t o = 0; o < problem.outputs; o++)
        for (int64_t i = 0; i < problem.inputs; i++)
            for (int64_t n = 0; n < plan.products; n++)
                for (int64_t r = 0; r < problem.rank; r++) {
                    const int64_t k = i % most * problem.rank + r;
                    const int64_t tile = ((i / most * plan.products + n) * row_blocks + o / kOuterRows) * column_blocks + k / kOuterColumns;
                    *raw++ = sums[tile * numbers + o % kOuterRows * kOuterColumns + k % kOuterColumns];
                }
    return 0;
}

}  // namespace

// From raw[o * output_step + i * input_step + product * rank + slot] to what `correlate` multiplies with.
extern "C" void pack(const float* raw, float* packed, int64_t output_step, int64_t input_step, int64_t outputs, int64_t inputs,
                     int64_t products, int64_t rank, int64_t fields_at_a_time) {
    const Blocks blocks(outputs);
    for (int64_t first = 0; first < inputs; first += fields_at_a_time)
        for (int64_t n = 0; n < products; n++)
            for (int64_t block = 0, o = 0; block < blocks.count; o += blocks.rows(block++))
                for (int64_t i = first; i < std::min(inputs, first + fields_at_a_time); i++)
                    for (int64_t slot = 0; slot < rank; slot++)
                        for (int64_t r = 0; r < blocks.rows(block); r++)
                            *packed++ = raw[(o + r) * output_step + i * input_step + n * rank + slot];
}

// What calls of one size have in common, until it is dropped; 0 if there is no memory. Tables need not live on.
extern "C" const void* make_plan(const Problem* problem) {
    try {
        return new Plan(*problem);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
extern "C" void drop_plan(const void* plan) { delete static_cast<const Plan*>(plan); }

// y = x correlated, plus the bias of every output and planes like y if there are any; negative numbers become 0 if
// `rectify` is not 0. Returns what is not 0 if there is no memory.
extern "C" int correlate(const void* made, const void* x, const float* packed, const float* bias, const void* added,
                         int64_t rectify, void* y) {
    const Plan& plan = *static_cast<const Plan*>(made);
    const bool is_half = plan.p.is_half;
    const Finish finish{bias, {added, is_half}, rectify != 0};
    const Source source{x, is_half};
    const Target target{y, is_half};
    switch (plan.p.order) {
        case 4: return correlate_tiles<4>(plan, source, packed, finish, target);
        case 8: return correlate_tiles<8>(plan, source, packed, finish, target);
        case 12: return correlate_tiles<12>(plan, source, packed, finish, target);
        case 16: return correlate_tiles<16>(plan, source, packed, finish, target);
    }
    return 1;
}

// raw[o, i, product, slot] = sum over pixels of the gradient of that product, times the filtered input; the gradient of
// the bias too, if it is wanted.
extern "C" int differentiate(const void* made, const void* x, const void* gradient, float* raw, float* bias) {
    const Plan& plan = *static_cast<const Plan*>(made);
    const Source source{x, plan.p.is_half != 0}, back{gradient, plan.p.is_half != 0};
    switch (plan.p.order) {
        case 4: return differentiate_tiles<4>(plan, source, back, raw, bias);
        case 8: return differentiate_tiles<8>(plan, source, back, raw, bias);
        case 12: return differentiate_tiles<12>(plan, source, back, raw, bias);
        case 16: return differentiate_tiles<16>(plan, source, back, raw, bias);
    }
    return 1;
}

namespace {

thread_local Memory raw_memory, packed_memory;

// to[row] = from[row] times a matrix of `inner` rows and `columns`, for small layers.
void multiply(const float* from, const float* matrix, float* to, int64_t rows, int64_t inner, int64_t columns) {
    for (int64_t row = 0; row < rows; row++, to += columns) {
        std::memset(to, 0, columns * sizeof(float));
        for (int64_t n = 0; n < inner; n++) {
            const float factor = *from++, *line = matrix + n * columns;
            for (int64_t c = 0; c < columns; c++) to[c] += factor * line[c];
        }
    }
}

}  // namespace

// `pack` and `correlate` in one call, from coefficients[output][input][number]; of a layer whose outputs are the
// plan's inputs if they are packed for the gradient of its input.
extern "C" int correlate_coefficients(const void* made, const void* x, const float* coefficients, const float* matrix,
                                      int64_t numbers, int64_t is_transposed, const float* bias, void* y) {
    const Plan& plan = *static_cast<const Plan*>(made);
    const Problem& p = plan.p;
    const int64_t pairs = p.outputs * p.inputs, columns = plan.products * p.rank;
    float *raw = raw_memory.of(pairs * columns), *packed = packed_memory.of(pairs * columns);
    if (!raw || !packed) return 1;
    multiply(coefficients, matrix, raw, pairs, numbers, columns);
    const int64_t output_step = is_transposed ? columns : columns * p.inputs;
    const int64_t input_step = is_transposed ? columns * p.outputs : columns;
    pack(raw, packed, output_step, input_step, p.outputs, p.inputs, plan.products, p.rank, p.fields_at_a_time);
    return correlate(made, x, packed, bias, nullptr, 0, y);
}

// `differentiate`, and from its outcome to the gradient of coefficients, by the transposed matrix.
extern "C" int differentiate_coefficients(const void* made, const void* x, const void* gradient, const float* back,
                                          int64_t numbers, float* found, float* bias) {
    const Plan& plan = *static_cast<const Plan*>(made);
    const int64_t pairs = plan.p.outputs * plan.p.inputs, columns = plan.products * plan.p.rank;
    float* raw = raw_memory.of(pairs * columns);
    if (!raw || differentiate(made, x, gradient, raw, bias)) return 1;
    multiply(raw, back, found, pairs, columns, numbers);
    return 0;
}
