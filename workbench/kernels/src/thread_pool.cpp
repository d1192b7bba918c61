#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace wb {
namespace {

// About 50 µs of pauses: longer than a step of a small model, shorter than what anyone would notice.
constexpr int kSpins = 2000;

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

ThreadPool* the_pool = nullptr;

// Threads don't survive fork: the child begins with a new pool; the old one's memory stays behind untouched.
void renew_after_fork() { the_pool = new ThreadPool; }

}  // namespace

ThreadPool& ThreadPool::shared() {
    static const bool started = [] {
        the_pool = new ThreadPool;
        pthread_atfork(nullptr, nullptr, renew_after_fork);
        return true;
    }();
    (void)started;
    return *the_pool;
}

void ThreadPool::grow(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
        Worker& worker = workers_.emplace_back();
        const int thread = static_cast<int>(workers_.size());
        std::thread([this, &worker, thread] { serve(worker, thread); }).detach();
    }
}

void ThreadPool::serve(Worker& worker, int thread) {
    uint32_t seen = 0;
    for (;;) {
        for (int spin = 0; spin < kSpins && worker.ticket.load(std::memory_order_acquire) == seen; ++spin) pause();
        worker.ticket.wait(seen, std::memory_order_acquire);
        seen = worker.ticket.load(std::memory_order_acquire);
        job_(context_, thread);
        running_.fetch_sub(1, std::memory_order_acq_rel);
    }
}

bool ThreadPool::try_run(int threads, Job job, void* context) {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    grow(threads - 1);
    job_ = job;
    context_ = context;
    running_.store(threads - 1, std::memory_order_relaxed);
    for (int i = 0; i < threads - 1; ++i) {
        Worker& worker = workers_[static_cast<size_t>(i)];
        worker.ticket.fetch_add(1, std::memory_order_release);
        worker.ticket.notify_one();
    }
    job(context, 0);
    for (int spin = 0; running_.load(std::memory_order_acquire) > 0; ++spin) {
        if (spin < kSpins) pause();
        else sched_yield();
    }
    return true;
}

void Barrier::wait() {
    const int round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        return;
    }
    for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
        if (spin < kSpins) pause();
        else sched_yield();
    }
}

}  // namespace wb
