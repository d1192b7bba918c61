// The threads that every program shares. They spin briefly for the next job, then sleep.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

namespace wb {

class ThreadPool {
public:
    using Job = void (*)(void* context, int thread);

    static ThreadPool& shared();

    // Calls job(context, 0 … threads − 1), number 0 on the calling thread, and returns when all are done.
    // False, with nothing called, when another thread is using the pool: run alone then rather than wait.
    bool try_run(int threads, Job job, void* context);

private:
    struct Worker {
        std::atomic<uint32_t> ticket{0};
    };
    void serve(Worker& worker, int thread);
    void grow(int workers);

    std::mutex busy_;
    std::deque<Worker> workers_;
    Job job_ = nullptr;
    void* context_ = nullptr;
    std::atomic<int> running_{0};
};

// All threads of a job wait here for each other between two steps.
class Barrier {
public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait();

private:
    const int threads_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<int> round_{0};
};

}  // namespace wb
