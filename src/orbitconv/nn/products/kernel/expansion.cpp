// Filters of a group layer from its coefficients, and the gradient of the coefficients, on a CPU:
//
//     weight[o, g, i, h, k]      = sum over d       of coefficients[o, i, source[g, h], d] * atoms[g, d, k]
//     coefficients'[o, i, m, d]  = sum over g and k of weight'[o, g, i, target[g, m], k]   * atoms[g, d, k]
//
// Both multiply rows with small matrices. A tile of rows is added up in registers, where the columns of a matrix make one
// or two vectors. If they are no multiple of a vector, the last vector overlaps the one before it, so that nothing is
// written beyond a row; rows shorter than a vector are put together first.

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

template <typename T>
struct Lanes {
    static constexpr int64_t count = 32 / sizeof(T);
    typedef T Vector __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));
};

// The atoms of every element as a matrix of `terms` rows and `width` columns, whose rows are at least one vector long.
template <typename T>
struct Matrices {
    int64_t terms, width, stride;
    std::vector<T> numbers;

    Matrices(const T* atoms, int64_t order, int64_t num_atoms, int64_t pixels, bool transposed)
        : terms(transposed ? pixels : num_atoms),
          width(transposed ? num_atoms : pixels),
          stride(width < Lanes<T>::count ? Lanes<T>::count : width),
          numbers(order * terms * stride) {
        for (int64_t g = 0; g < order; g++)
            for (int64_t d = 0; d < num_atoms; d++)
                for (int64_t k = 0; k < pixels; k++)
                    numbers[(g * terms + (transposed ? k : d)) * stride + (transposed ? d : k)] = *atoms++;
    }

    const T* of(int64_t g) const { return numbers.data() + g * terms * stride; }
};

// What is multiplied: `count` blocks of `order` rows. Row r of a block is the sum over s < steps of the numbers that begin
// at offsets[s * order + r] of the block, times matrix s.
template <typename T>
struct Task {
    const T* numbers;
    const int64_t* offsets;
    int64_t order, steps, count, advance;  // `advance` numbers from block to block
    const Matrices<T>& matrices;
    const T* matrix;
    T* output;
};

// `rows` rows from `row`, `vectors` vectors from `column`, in every block.
template <typename T, int rows, int vectors>
void multiply_tile(const Task<T>& task, int64_t row, int64_t column) {
    using Vector = typename Lanes<T>::Vector;
    const int64_t terms = task.matrices.terms, width = task.matrices.width, stride = task.matrices.stride;
    int64_t columns[vectors];
    for (int v = 0; v < vectors; v++) {
        columns[v] = column + v * Lanes<T>::count;
        if (columns[v] + Lanes<T>::count > stride) columns[v] = stride - Lanes<T>::count;
    }
    const T* block = task.numbers;
    T* output = task.output + row * width;
    for (int64_t c = 0; c < task.count; c++, block += task.advance, output += task.order * width) {
        Vector sum[rows][vectors];
#pragma GCC unroll 8  // or compilers clear it in memory
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sum[r][v] = Vector{};
        const T* matrix = task.matrix;
        const int64_t* offsets = task.offsets + row;
        for (int64_t s = 0; s < task.steps; s++, offsets += task.order) {
            const T* factors[rows];
            for (int r = 0; r < rows; r++) factors[r] = block + offsets[r];
            for (int64_t n = 0; n < terms; n++, matrix += stride) {
                Vector line[vectors];
                for (int v = 0; v < vectors; v++) line[v] = *reinterpret_cast<const Vector*>(matrix + columns[v]);
                for (int r = 0; r < rows; r++)
                    for (int v = 0; v < vectors; v++) sum[r][v] += line[v] * factors[r][n];
            }
        }
        if (width < Lanes<T>::count) {
            T together[(rows + 1) * Lanes<T>::count];
            for (int r = 0; r < rows; r++) *reinterpret_cast<Vector*>(together + r * width) = sum[r][0];
            std::memcpy(output, together, rows * width * sizeof(T));
        } else {
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < vectors; v++) *reinterpret_cast<Vector*>(output + r * width + columns[v]) = sum[r][v];
        }
    }
}

// As many tiles of so many rows as there are, from `row`.
template <typename T, int rows>
void multiply_rows(const Task<T>& task, int64_t& row) {
    const int64_t width = task.matrices.width;
    for (; row + rows <= task.order; row += rows) {
        int64_t column = 0;
        if constexpr (rows <= 4)  // there are registers for eight vectors
            for (; column + Lanes<T>::count < width; column += 2 * Lanes<T>::count)
                multiply_tile<T, rows, 2>(task, row, column);
        for (; column < width; column += Lanes<T>::count) multiply_tile<T, rows, 1>(task, row, column);
    }
}

template <typename T>
void multiply(const Task<T>& task) {
    int64_t row = 0;
    if (task.matrices.width <= Lanes<T>::count) multiply_rows<T, 8>(task, row);
    multiply_rows<T, 4>(task, row);
    multiply_rows<T, 1>(task, row);
}

template <typename T>
void expand(const T* coefficients, const T* atoms, const int64_t* source, T* weight, int64_t outputs, int64_t inputs,
            int64_t order, int64_t num_atoms, int64_t pixels, int threads) {
    const Matrices<T> matrices(atoms, order, num_atoms, pixels, false);
    std::vector<int64_t> offsets(source, source + order * order);
    for (int64_t& offset : offsets) offset *= num_atoms;
    const int64_t advance = order * num_atoms;
#pragma omp parallel for num_threads(threads)
    for (int64_t plane = 0; plane < outputs * order; plane++) {
        const int64_t o = plane / order, g = plane % order;
        multiply(Task<T>{coefficients + o * inputs * advance, offsets.data() + g * order, order, 1, inputs, advance,
                         matrices, matrices.of(g), weight + plane * inputs * order * pixels});
    }
}

template <typename T>
void take_back(const T* weight, const T* atoms, const int64_t* target, T* coefficients, int64_t outputs,
               int64_t inputs, int64_t order, int64_t num_atoms, int64_t pixels, int threads) {
    const Matrices<T> matrices(atoms, order, num_atoms, pixels, true);
    std::vector<int64_t> offsets(order * order);
    for (int64_t g = 0; g < order; g++)
        for (int64_t m = 0; m < order; m++)
            offsets[g * order + m] = (g * inputs * order + target[g * order + m]) * pixels;
#pragma omp parallel for num_threads(threads)
    for (int64_t pair = 0; pair < outputs * inputs; pair++) {
        const int64_t o = pair / inputs, i = pair % inputs;
        multiply(Task<T>{weight + (o * order * inputs + i) * order * pixels, offsets.data(), order, order, 1, 0,
                         matrices, matrices.of(0), coefficients + pair * order * num_atoms});
    }
}

}  // namespace

#define FUNCTIONS(name, type)                                                                                         \
    extern "C" void expand_##name(const type* coefficients, const type* atoms, const int64_t* source, type* weight,   \
                                  int64_t outputs, int64_t inputs, int64_t order, int64_t num_atoms, int64_t pixels,  \
                                  int threads) {                                                                      \
        expand(coefficients, atoms, source, weight, outputs, inputs, order, num_atoms, pixels, threads);              \
    }                                                                                                                 \
    extern "C" void take_back_##name(const type* weight, const type* atoms, const int64_t* target,                    \
                                     type* coefficients, int64_t outputs, int64_t inputs, int64_t order,              \
                                     int64_t num_atoms, int64_t pixels, int threads) {                                \
        take_back(weight, atoms, target, coefficients, outputs, inputs, order, num_atoms, pixels, threads);           \
    }

FUNCTIONS(float32, float)
FUNCTIONS(float64, double)
