// GET /v1/jobs/ID/outputs, a list, and /v1/jobs/ID/outputs/TASK/NAME, the bytes.
#include <algorithm>
#include <charconv>

#include "os/exchange.h"
#include "os/json.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

// Walks the tasks page by page, and writes one JSON array as it goes.
class ListOutputs : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    const auto id = target_.job();
    if (!id) return refuse(id.error());
    auto tasks = target_.take_tasks();
    if (!tasks) return refuse(tasks.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    page_.id = *id;
    page_.tasks = std::move(*tasks);
    page_.limit = kPage;
    ask_job(0, page_);
  }

  void on_answer(std::uint64_t, Result<client::Answer> answer, bool) override {
    const auto list = answer_as<TaskList>(std::move(answer));
    if (!list) return refuse(list.error());
    if (!has_begun() && list->tasks.empty() && !page_.tasks.empty()) {
      return refuse({Code::kNotFound,
                     "the job " + page_.id.text() + " has no task " + text_of(page_.tasks),
                     "see: dunlin tasks " + page_.id.text()});
    }
    if (!has_begun()) begin("application/json");
    std::string text;
    for (const TaskView& task : list->tasks) {
      for (const OutputFile& file : task.outputs) {
        text += first_ ? "[" : ",";
        first_ = false;
        JsonWriter out(text);
        write_output(out, task.task, file);
      }
    }
    is_last_ = !list->next;
    page_.from = list->next.value_or(0);
    if (is_last_) text += first_ ? "[]\n" : "]\n";
    const bool has_room = write(text);
    if (is_last_) return end();
    if (has_room) ask_job(0, page_);
  }

  void on_drained() override {
    if (!is_last_) ask_job(0, page_);
  }

 private:
  static constexpr std::uint32_t kPage = 1000;
  ListTasks page_;
  bool first_ = true;
  bool is_last_ = false;
};

// Finds the file in its task's record, then sends one blob after another.
class GetOutput : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    const auto id = target_.job();
    if (!id) return refuse(id.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    const std::string& number = target_.places[1];
    const char* end_of_number = number.data() + number.size();
    const auto [at, error] = std::from_chars(number.data(), end_of_number, task_);
    if (error != std::errc() || at != end_of_number) {
      return refuse({Code::kUsage, "'" + number + "' is no task's number", ""});
    }
    ListTasks list;
    list.id = *id;
    list.tasks = {TaskRange{task_, task_, 1}};
    ask_job(kFind, std::move(list));
  }

  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool) override {
    if (tag == kFind) return find(answer_as<TaskList>(std::move(answer)));
    auto blob = answer_as<client::BlobGot>(std::move(answer));
    if (!blob) return refuse(blob.error());
    if (!has_begun()) begin("application/octet-stream");
    if (write(as_text(blob->data))) next();
  }

  void on_drained() override { next(); }

 private:
  static constexpr std::uint64_t kFind = 1;
  static constexpr std::uint64_t kBlob = 2;

  void find(const Result<TaskList>& list) {
    if (!list) return refuse(list.error());
    const std::string& name = target_.places[2];
    for (const TaskView& task : list->tasks) {
      const auto file = std::find_if(task.outputs.begin(), task.outputs.end(),
                                     [&](const OutputFile& output) { return output.name == name; });
      if (file == task.outputs.end()) continue;
      content_ = file->content;
      if (content_.empty()) begin("application/octet-stream");
      return next();
    }
    refuse({Code::kNotFound, "task " + std::to_string(task_) + " has no output '" + name + "'",
            "see: dunlin outputs " + target_.places[0]});
  }

  void next() {
    if (at_ == content_.size()) return end();
    ask(kBlob, client::GetBlob{content_[at_++].id});
  }

  std::uint32_t task_ = 0;
  std::vector<BlobRef> content_;
  std::size_t at_ = 0;
};

}  // namespace

const std::vector<Endpoint>& output_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/v1/jobs/{}/outputs", 0, make_exchange<ListOutputs>},
      {"GET", "/v1/jobs/{}/outputs/{}/{...}", 0, make_exchange<GetOutput>},
  };
  return all;
}

}  // namespace dunlin
