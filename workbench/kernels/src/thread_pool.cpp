#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace wb {
namespace {

// About 50 µs of pauses: longer than a step of a small model, shorter than what anyone would notice.
constexpr int kSpins = 2000;

// When no worker came, the cores are taken. Waking a worker costs the caller about as much as a small step, so it
// is tried again only after so many jobs.
constexpr int kAloneAfterNobodyCame = 16;

inline void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Whether `ready` came true before the time to spin was over.
template <class Ready>
bool spin_until(Ready ready) {
    for (int i = 0; i < kSpins; ++i) {
        if (ready()) return true;
        pause();
    }
    return ready();
}

template <class Ready>
void yield_until(Ready ready) {
    while (!ready()) sched_yield();
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
    const auto accept = [&worker] {
        uint32_t expected = made;
        return worker.offer.compare_exchange_strong(expected, accepted, std::memory_order_acquire);
    };
    for (;;) {
        worker.offer.wait(none, std::memory_order_relaxed);
        while (accept()) {
            job_(context_, thread);
            worker.offer.store(none, std::memory_order_release);
            spin_until([&worker] { return worker.offer.load(std::memory_order_relaxed) != none; });
        }
    }
}

bool ThreadPool::try_run(int threads, Job job, void* context) {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    const int workers = alone_ > 0 ? 0 : std::min(threads, kMostThreads) - 1;
    grow(workers);
    job_ = job;
    context_ = context;
    for (int i = 0; i < workers; ++i) {
        Worker& worker = workers_[static_cast<size_t>(i)];
        worker.offer.store(made, std::memory_order_release);
        worker.offer.notify_one();
    }
    job(context, 0);
    int came = 0;
    for (int i = 0; i < workers; ++i) {
        Worker& worker = workers_[static_cast<size_t>(i)];
        uint32_t expected = made;
        if (worker.offer.compare_exchange_strong(expected, none, std::memory_order_acquire)) continue;
        ++came;
        const auto through = [&worker] { return worker.offer.load(std::memory_order_acquire) == none; };
        if (!spin_until(through)) yield_until(through);
    }
    alone_ = workers > 0 && came == 0 ? kAloneAfterNobodyCame : std::max(alone_ - 1, 0);
    return true;
}

bool Shares::wait(int threads, int thread) const {
    const auto all_done = [&] { return done_.load(std::memory_order_acquire) == threads; };
    if (spin_until(all_done)) return true;
    if (thread > 0) return false;
    yield_until(all_done);
    return true;
}

}  // namespace wb
