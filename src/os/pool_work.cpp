#include "os/pool_work.h"

#include <memory>

namespace dunlin {

namespace {

struct Job {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
};

}  // namespace

void run_on_pool(uv_loop_t* loop, std::function<void()> work, std::function<void()> done) {
  auto* job = new Job{{}, std::move(work), std::move(done)};
  job->request.data = job;
  const int error = uv_queue_work(
      loop, &job->request, [](uv_work_t* request) { static_cast<Job*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Job> ended(static_cast<Job*>(request->data));
        ended->done();
      });
  if (error == 0) return;
  const std::unique_ptr<Job> here(job);
  here->work();
  here->done();
}

}  // namespace dunlin
