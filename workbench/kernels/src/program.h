// A model as a flat list of steps over tensors in one arena: built once, run in one call.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "buffer.h"
#include "kernel_table.h"
#include "thread_pool.h"

namespace wb {

struct BuildError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

#define WB_PLACES(X) X(arena) X(input) X(output)

enum class Place : int64_t { WB_PLACES(WB_MEMBER) };

// One image of a tensor, channels last. `offset` is where pixel (0, 0) lies in the image's part of its place;
// a border of `border` bytes around it, written once, saves kernels every edge case.
struct Tensor {
    Place place;
    int64_t offset;
    int64_t height, width, channels;
    int64_t pixel_pitch, row_pitch;  // bytes
    Dtype dtype;
    int64_t pad_top, pad_left, pad_bottom, pad_right;  // pixels
    int64_t border;                                    // the byte a border is filled with

    bool dense() const { return pixel_pitch == channels * bytes_of(dtype) && row_pitch == width * pixel_pitch; }
    bool one_pixel() const { return height * width == 1; }
};

// Where the three places are during a run, and how far apart two images are in each.
struct Frame {
    uint8_t* base[3];
    int64_t image_stride[3];
    int64_t batch;

    uint8_t* at(const Tensor& t, int64_t image) const {
        const auto place = static_cast<size_t>(t.place);
        return base[place] + image * image_stride[place] + t.offset;
    }
    int64_t stride(const Tensor& t) const { return image_stride[static_cast<size_t>(t.place)]; }
};

// One step. Its work is cut into tasks that may run in any order and on any thread.
class Step {
public:
    virtual ~Step() = default;
    virtual int64_t tasks(int64_t batch) const = 0;
    virtual void run(const Frame& frame, int64_t begin, int64_t end) const = 0;
    virtual std::string kernel() const = 0;

    // One of `shares` equal parts of the work, which threads do side by side.
    virtual void run_share(const Frame& frame, int64_t share, int64_t shares) const {
        const int64_t all = tasks(frame.batch);
        run(frame, all * share / shares, all * (share + 1) / shares);
    }

    // How often threads that do it side by side have to wait for each other: a round reads what the one before wrote.
    virtual int64_t rounds() const { return 1; }
    virtual void run_round(const Frame& frame, int64_t /*round*/, int64_t share, int64_t shares) const {
        run_share(frame, share, shares);
    }
};

// Reads a step's record: whole numbers, floats and raw arrays, in the order records.py writes them.
class Record {
public:
    std::vector<int64_t> integers;
    std::vector<float> floats;
    std::vector<std::vector<uint8_t>> arrays;

    int64_t integer() { return take(integers, next_integer_); }
    float real() { return take(floats, next_float_); }
    const std::vector<uint8_t>& array() { return take(arrays, next_array_); }

private:
    template <class T>
    static const T& take(const std::vector<T>& from, size_t& next) {
        if (next >= from.size()) throw BuildError("a step's record is too short");
        return from[next++];
    }
    size_t next_integer_ = 0, next_float_ = 0, next_array_ = 0;
};

std::unique_ptr<Step> make_step(const KernelTable& kernels, const std::vector<Tensor>& tensors, Record record);

class Program {
public:
    Program(const KernelTable& kernels, std::vector<Tensor> tensors, std::vector<Record> records,
            int64_t input_bytes, int64_t output_bytes, int64_t arena_bytes);

    // Runs `batch` images. chunk 0: all threads share each step. chunk > 0: each thread takes that many images
    // at a time through all steps, so that they stay in its cache.
    void run(const uint8_t* input, uint8_t* output, int64_t batch, int64_t chunk, int threads);

    // The same on `threads` threads sharing each step; nanoseconds of each step are added to `times`.
    void run_timed(const uint8_t* input, uint8_t* output, int64_t batch, int threads, std::vector<double>& times);

    std::vector<std::string> kernels() const;

private:
    struct Arena {
        Buffer memory;
        int64_t images = 0;
        std::unique_ptr<Shares> shares;
    };
    class Lease;
    Arena take_arena(int64_t images);
    void give_back(Arena arena);
    Frame frame(const Arena& arena, const uint8_t* input, uint8_t* output, int64_t first, int64_t batch) const;
    void run_steps(const Frame& frame) const;
    void run_together(const uint8_t* input, uint8_t* output, int64_t batch, int threads, double* times);

    std::vector<Tensor> tensors_;
    std::vector<std::unique_ptr<Step>> steps_;
    int64_t input_bytes_, output_bytes_, arena_bytes_;
    std::mutex mutex_;
    std::vector<Arena> free_;
};

}  // namespace wb
