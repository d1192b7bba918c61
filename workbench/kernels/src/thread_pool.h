// The threads that every program shares. They spin briefly for the next job, then sleep.
#pragma once
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

namespace wb {

class ThreadPool {
public:
    using Job = void (*)(void* context, int thread);

    static constexpr int kMostThreads = 64;

    static ThreadPool& shared();

    // Calls job(context, 0) on the calling thread and offers job(context, 1 … threads − 1) to the workers; returns
    // when the caller is through and so is every worker that began. A worker that hasn't begun by then is called
    // off: on a busy machine it may not run for milliseconds. So a job takes its work piece by piece until none is
    // left, and must be complete when thread 0 alone has run it.
    // False, with nothing called, when another thread is using the pool: run alone then rather than wait.
    bool try_run(int threads, Job job, void* context);

private:
    enum Offer : uint32_t { none, made, accepted };
    // `calls` counts how often a sleeping worker was woken. It sleeps on this, not on the offer: one that wakes up when
    // its offer has been called off has to stay for the next.
    struct alignas(64) Worker {
        std::atomic<uint32_t> offer{none};
        std::atomic<uint32_t> calls{0};
        std::atomic<bool> awake{false};
        pthread_t handle{};
    };
    void serve(Worker& worker, int thread);
    void grow(int workers);
    void move_away(Worker& worker, int processor);

    std::mutex busy_;
    std::deque<Worker> workers_;
    Job job_ = nullptr;
    void* context_ = nullptr;
    int alone_ = 0;      // jobs for which the caller still wakes nobody
    bool late_ = false;  // whether nobody came to the job before
    int caller_processor_ = -1;
#if defined(__linux__)
    cpu_set_t allowed_{};  // the processors that workers may use
#endif
};

// Steps done one after another by several threads. A step's work is cut into as many shares as there are threads; each
// thread takes its own share first, then whatever nobody has begun. How far each share is stands in a cache line of its
// own, which only the thread writes that has the share: a step moves one line to every other thread.
class Shares {
public:
    void begin(int threads) {
        threads_ = threads;
        for (int share = 0; share < threads; ++share) shares_[share].state.store(0, std::memory_order_relaxed);
    }

    // Calls run(share) for each share of the step that this thread gets, then waits for those that others have begun.
    // Steps count from 0, and a thread works on each of them in turn.
    // False when a worker has waited long enough to suspect that it keeps another thread from running.
    template <class Run>
    bool work(uint32_t step, int thread, Run run) {
        for (int i = 0; i < threads_; ++i) {
            const int share = thread + i < threads_ ? thread + i : thread + i - threads_;
            auto& state = shares_[share].state;
            uint32_t expected = untouched(step);
            if (state.load(std::memory_order_relaxed) != expected) continue;
            if (!state.compare_exchange_strong(expected, expected + 1, std::memory_order_relaxed)) continue;
            run(share);
            state.store(untouched(step + 1), std::memory_order_release);
        }
        return wait(step, thread);
    }

private:
    // A share's states in order: untouched in step 0, begun, untouched in step 1, begun, …
    static constexpr uint32_t untouched(uint32_t step) { return 2 * step; }
    bool wait(uint32_t step, int thread) const;

    struct alignas(64) Share {
        std::atomic<uint32_t> state{0};
    };
    Share shares_[ThreadPool::kMostThreads];
    int threads_ = 1;
};

}  // namespace wb
