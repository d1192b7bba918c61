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
    struct alignas(64) Worker {
        std::atomic<uint32_t> offer{none};
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

// One step's work, cut into as many shares as there are threads. Each thread takes its own share first, then
// whatever nobody has begun.
class alignas(64) Shares {
public:
    void reset() {
        claimed_.store(0, std::memory_order_relaxed);
        done_.store(0, std::memory_order_relaxed);
    }

    // Calls run(share) for each share that this thread gets, then waits for those that others have begun.
    // False when a worker has waited long enough to suspect that it keeps another thread from running.
    template <class Run>
    bool work(int threads, int thread, Run run) {
        for (int i = 0; i < threads; ++i) {
            const int share = (thread + i) % threads;
            const uint64_t bit = uint64_t{1} << share;
            if (claimed_.load(std::memory_order_relaxed) & bit) continue;
            if (claimed_.fetch_or(bit, std::memory_order_relaxed) & bit) continue;
            run(share);
            done_.fetch_add(1, std::memory_order_release);
        }
        return wait(threads, thread);
    }

private:
    bool wait(int threads, int thread) const;

    std::atomic<uint64_t> claimed_{0};
    alignas(64) std::atomic<int> done_{0};
};

}  // namespace wb
