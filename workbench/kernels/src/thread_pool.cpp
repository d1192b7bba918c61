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
// is tried again only after so many jobs. A worker that came too late spins for a while, though: while it does, it is
// offered the next ones, or jobs shorter than a worker takes to wake up would stay with the caller for ever.
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

// -1 where it can't be told.
int current_processor() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
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
        std::thread started([this, &worker, thread] { serve(worker, thread); });
        worker.handle = started.native_handle();
        started.detach();
#if defined(__linux__)
        sched_getaffinity(0, sizeof allowed_, &allowed_);  // what the worker has inherited
#endif
    }
}

// Linux may wake a thread on the processor of the one that woke it, where they take turns for tens of milliseconds
// however idle the others are; seen on a virtual machine with two processors.
void ThreadPool::move_away([[maybe_unused]] Worker& worker, [[maybe_unused]] int processor) {
#if defined(__linux__)
    cpu_set_t now, elsewhere = allowed_;
    if (processor < 0 || pthread_getaffinity_np(worker.handle, sizeof now, &now) != 0) return;
    if (!CPU_ISSET(processor, &now)) return;  // it is on its way
    CPU_CLR(processor, &elsewhere);
    if (CPU_COUNT(&elsewhere) > 0) pthread_setaffinity_np(worker.handle, sizeof elsewhere, &elsewhere);
#endif
}

void ThreadPool::serve(Worker& worker, int thread) {
    const auto accept = [&worker] {
        uint32_t expected = made;
        return worker.offer.compare_exchange_strong(expected, accepted, std::memory_order_acquire);
    };
    const auto offered = [&worker] { return worker.offer.load(std::memory_order_relaxed) != none; };
    uint32_t calls = 0;
    for (;;) {
        worker.calls.wait(calls, std::memory_order_relaxed);
        calls = worker.calls.load(std::memory_order_relaxed);
        worker.awake.store(true, std::memory_order_relaxed);
        while (spin_until(offered)) {
            if (!accept()) continue;  // called off meanwhile
            if (current_processor() == caller_processor_) move_away(worker, caller_processor_);
            job_(context_, thread);
            worker.offer.store(none, std::memory_order_release);
        }
        worker.awake.store(false, std::memory_order_relaxed);
    }
}

bool ThreadPool::try_run(int threads, Job job, void* context) {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    const int workers = std::min(threads, kMostThreads) - 1;
    const bool waking = alone_ == 0;
    grow(workers);
    job_ = job;
    context_ = context;
    caller_processor_ = current_processor();
    uint64_t offered = 0;
    for (int i = 0; i < workers; ++i) {
        Worker& worker = workers_[static_cast<size_t>(i)];
        const bool awake = worker.awake.load(std::memory_order_relaxed);
        if (!waking && !awake) continue;
        offered |= uint64_t{1} << i;
        worker.offer.store(made, std::memory_order_release);
        if (awake) continue;
        worker.calls.fetch_add(1, std::memory_order_relaxed);
        worker.calls.notify_one();
    }
    job(context, 0);
    int came = 0;
    for (int i = 0; i < workers; ++i) {
        if (!(offered >> i & 1)) continue;
        Worker& worker = workers_[static_cast<size_t>(i)];
        uint32_t expected = made;
        if (worker.offer.compare_exchange_strong(expected, none, std::memory_order_acquire)) continue;
        ++came;
        const auto through = [&worker] { return worker.offer.load(std::memory_order_acquire) == none; };
        if (!spin_until(through)) yield_until(through);
    }
    if (came > 0) {
        late_ = false;
        alone_ = 0;
    } else if (waking) {
        for (int i = 0; i < workers; ++i) move_away(workers_[static_cast<size_t>(i)], caller_processor_);
        late_ = !late_;
        alone_ = late_ ? 0 : kAloneAfterNobodyCame;  // who was only late, or moved, is there for the next job
    } else {
        --alone_;
    }
    return true;
}

bool Shares::wait(uint32_t step, int thread) const {
    const auto all_done = [&] {
        for (int share = 0; share < threads_; ++share) {
            if (shares_[share].state.load(std::memory_order_acquire) < untouched(step + 1)) return false;
        }
        return true;
    };
    if (spin_until(all_done)) return true;
    if (thread > 0) return false;
    yield_until(all_done);
    return true;
}

}  // namespace wb
