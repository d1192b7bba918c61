#include "program.h"

#include <algorithm>
#include <atomic>
#include <chrono>


namespace wb {
namespace {

void fill_borders(const Tensor& t, uint8_t* origin) {
    if (t.place != Place::arena || t.pad_top + t.pad_left + t.pad_bottom + t.pad_right == 0) return;
    const auto byte = static_cast<int>(t.border);
    const int64_t line = (t.pad_left + t.width + t.pad_right) * t.pixel_pitch;
    for (int64_t y = -t.pad_top; y < t.height + t.pad_bottom; ++y) {
        uint8_t* row = origin + y * t.row_pitch;
        if (y < 0 || y >= t.height) {
            std::memset(row - t.pad_left * t.pixel_pitch, byte, static_cast<size_t>(line));
        } else {
            std::memset(row - t.pad_left * t.pixel_pitch, byte, static_cast<size_t>(t.pad_left * t.pixel_pitch));
            std::memset(row + t.width * t.pixel_pitch, byte, static_cast<size_t>(t.pad_right * t.pixel_pitch));
        }
    }
}

double now_ns() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

// An arena for the length of one call.
class Program::Lease {
public:
    Lease(Program& program, int64_t images) : program_(program), arena_(program.take_arena(images)) {}
    ~Lease() { program_.give_back(std::move(arena_)); }
    Lease(const Lease&) = delete;
    const Arena& arena() const { return arena_; }

private:
    Program& program_;
    Arena arena_;
};

Program::Program(const KernelTable& kernels, std::vector<Tensor> tensors, std::vector<Record> records,
                 int64_t input_bytes, int64_t output_bytes, int64_t arena_bytes)
    : tensors_(std::move(tensors)), input_bytes_(input_bytes), output_bytes_(output_bytes), arena_bytes_(arena_bytes) {
    for (Record& record : records) steps_.push_back(make_step(kernels, tensors_, std::move(record)));
}

Program::Arena Program::take_arena(int64_t images) {
    {
        std::lock_guard lock(mutex_);
        for (size_t i = 0; i < free_.size(); ++i) {
            if (free_[i].images < images) continue;
            Arena arena = std::move(free_[i]);
            free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
            return arena;
        }
        if (!free_.empty()) free_.pop_back();  // too small for this batch: the new one takes its place
    }
    Arena arena{Buffer(images * arena_bytes_), images, std::make_unique<Shares>()};
    for (int64_t image = 0; image < images; ++image) {
        for (const Tensor& t : tensors_) fill_borders(t, arena.memory.data() + image * arena_bytes_ + t.offset);
    }
    return arena;
}

void Program::give_back(Arena arena) {
    std::lock_guard lock(mutex_);
    free_.push_back(std::move(arena));
}

Frame Program::frame(const Arena& arena, const uint8_t* input, uint8_t* output, int64_t first, int64_t batch) const {
    return {{arena.memory.data(), const_cast<uint8_t*>(input) + first * input_bytes_, output + first * output_bytes_},
            {arena_bytes_, input_bytes_, output_bytes_},
            batch};
}

void Program::run_steps(const Frame& frame) const {
    for (const auto& step : steps_) step->run(frame, 0, step->tasks(frame.batch));
}

void Program::run(const uint8_t* input, uint8_t* output, int64_t batch, int64_t chunk, int threads) {
    if (batch <= 0) return;
    if (chunk <= 0 && threads > 1) return run_together(input, output, batch, threads, nullptr);
    if (chunk <= 0) chunk = batch;
    struct Shared {
        Program& program;
        const uint8_t* input;
        uint8_t* output;
        int64_t batch, chunk;
        std::atomic<int64_t> next{0};
        std::atomic<bool> out_of_memory{false};
    } shared{*this, input, output, batch, chunk};
    auto take_chunks = [](void* context, int) {
        auto& s = *static_cast<Shared*>(context);
        try {
            int64_t first = s.next.fetch_add(s.chunk);
            if (first >= s.batch) return;
            Lease lease(s.program, std::min(s.chunk, s.batch));
            for (; first < s.batch; first = s.next.fetch_add(s.chunk)) {
                const int64_t images = std::min(s.chunk, s.batch - first);
                s.program.run_steps(s.program.frame(lease.arena(), s.input, s.output, first, images));
            }
        } catch (const std::bad_alloc&) {
            s.out_of_memory = true;
        }
    };
    const auto useful = static_cast<int>(std::min<int64_t>(threads, (batch + chunk - 1) / chunk));
    if (useful < 2 || !ThreadPool::shared().try_run(useful, take_chunks, &shared)) take_chunks(&shared, 0);
    if (shared.out_of_memory) throw std::bad_alloc();
}

void Program::run_together(const uint8_t* input, uint8_t* output, int64_t batch, int threads, double* times) {
    Lease lease(*this, batch);
    struct Shared {
        const Program& program;
        Frame frame;
        Shares& shares;
        int threads;
        double* times;
    } shared{*this, frame(lease.arena(), input, output, 0, batch), *lease.arena().shares,
             std::min(threads, ThreadPool::kMostThreads), times};
    shared.shares.begin(shared.threads);
    auto walk = [](void* context, int thread) {
        auto& s = *static_cast<Shared*>(context);
        double before = s.times ? now_ns() : 0;
        uint32_t done = 0;
        for (size_t i = 0; i < s.program.steps_.size(); ++i) {
            const Step& step = *s.program.steps_[i];
            for (int64_t round = 0; round < step.rounds(); ++round) {
                const bool stay = s.shares.work(done++, thread, [&](int share) {
                    step.run_round(s.frame, round, share, s.threads);
                });
                if (!stay) return;
            }
            if (s.times && thread == 0) {
                const double after = now_ns();
                s.times[i] += after - before;
                before = after;
            }
        }
    };
    if (threads > 1 && ThreadPool::shared().try_run(shared.threads, walk, &shared)) return;
    shared.threads = 1;
    shared.shares.begin(1);
    walk(&shared, 0);
}

void Program::run_timed(const uint8_t* input, uint8_t* output, int64_t batch, int threads, std::vector<double>& times) {
    times.resize(steps_.size());
    run_together(input, output, batch, threads, times.data());
}

std::vector<std::string> Program::kernels() const {
    std::vector<std::string> names;
    for (const auto& step : steps_) names.push_back(step->kernel());
    return names;
}

}  // namespace wb
