// Reads a list of tasks as nodes write it, a million of them in seconds: a tree of values, as
// nlohmann::json makes it, takes thirty times as long. What looks unusual is left to that one, task
// by task, so that nothing is understood here which it would not understand the same way.
#include <charconv>
#include <concepts>

#include "os/json.h"
#include "os/json_reader.h"
#include "os/json_time.h"
#include "os/utf8.h"

namespace dunlin {

namespace {

// A value that is a text without escapes, a whole number, true, false, null or [].
struct Scalar {
  enum class Kind { kText, kNumber, kTrue, kFalse, kNull, kNoList };
  Kind kind = Kind::kNull;
  std::string_view text;
};

class FlatObject {
 public:
  explicit FlatObject(std::string_view text) : rest_(text) {}

  // False: there is no further field, or none that is understood here.
  bool next(std::string_view& key, Scalar& value) {
    if (!take(is_first_ ? '{' : ',')) return false;
    is_first_ = false;
    return take_text(key) && take(':') && take_value(value);
  }
  bool is_at_end() { return take('}') && rest_.empty(); }

 private:
  bool take(char expected) {
    if (rest_.empty() || rest_.front() != expected) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool take_text(std::string_view& text) {
    if (!take('"')) return false;
    std::size_t length = 0;
    bool is_ascii = true;
    while (length < rest_.size() && rest_[length] != '"') {
      const auto byte = static_cast<unsigned char>(rest_[length++]);
      if (byte < 0x20 || byte == '\\') return false;
      is_ascii &= byte < 0x80;
    }
    text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return take('"') && (is_ascii || is_utf8(text));
  }
  bool take_number(std::string_view& text) {
    const std::size_t sign = rest_.starts_with('-') ? 1 : 0;
    std::size_t length = sign;
    while (length < rest_.size() && rest_[length] >= '0' && rest_[length] <= '9') ++length;
    text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    if (length > sign + 1 && text[sign] == '0') return false;
    return !rest_.empty() && (rest_.front() == ',' || rest_.front() == '}');
  }
  bool take_value(Scalar& value) {
    switch (rest_.empty() ? '\0' : rest_.front()) {
      case '"': value.kind = Scalar::Kind::kText; return take_text(value.text);
      case 'n': value.kind = Scalar::Kind::kNull; return take_word("null");
      case 't': value.kind = Scalar::Kind::kTrue; return take_word("true");
      case 'f': value.kind = Scalar::Kind::kFalse; return take_word("false");
      case '[': value.kind = Scalar::Kind::kNoList; return take_word("[]");
      default: value.kind = Scalar::Kind::kNumber; return take_number(value.text);
    }
  }

  std::string_view rest_;
  bool is_first_ = true;
};

bool read(const Scalar& value, std::string& to) {
  if (value.kind == Scalar::Kind::kText) to = value.text;
  return value.kind == Scalar::Kind::kText;
}

bool read(const Scalar& value, bool& to) {
  to = value.kind == Scalar::Kind::kTrue;
  return to || value.kind == Scalar::Kind::kFalse;
}

bool read(const Scalar& value, WallTime& to) {
  if (value.kind != Scalar::Kind::kText) return false;
  const std::optional<WallTime> time = from_rfc3339(value.text);
  if (time) to = *time;
  return time.has_value();
}

template <std::integral T>
bool read(const Scalar& value, T& to) {
  if (value.kind != Scalar::Kind::kNumber) return false;
  const char* const end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, to);
  return error == std::errc() && at == end;
}

template <class T>
bool read(const Scalar& value, std::optional<T>& to) {
  return read(value, to.emplace());
}

bool read(const Scalar& value, NodeId& to) {
  const auto id = value.kind == Scalar::Kind::kText ? NodeId::from_text(value.text) : std::nullopt;
  if (id) to = *id;
  return id.has_value();
}

bool read(const Scalar& value, JobId& to) {
  const auto id = value.kind == Scalar::Kind::kText ? JobId::from_text(value.text) : std::nullopt;
  if (id) to = *id;
  return id.has_value();
}

bool read(const Scalar& value, TaskState& to) {
  const auto state = value.kind == Scalar::Kind::kText ? task_state_from(value.text) : std::nullopt;
  if (state) to = *state;
  return state.has_value();
}

bool read(const Scalar& value, Reason& to) {
  const auto reason = value.kind == Scalar::Kind::kText ? reason_from(value.text) : std::nullopt;
  if (reason) to = *reason;
  return reason.has_value();
}

// False when it is not understood here.
bool read_field(std::string_view key, const Scalar& value, TaskView& task) {
  // Null is what is not there.
  if (value.kind == Scalar::Kind::kNull) return key != "job" && key != "state";
  if (key == "job") return read(value, task.job);
  if (key == "task") return read(value, task.task);
  if (key == "state") return read(value, task.state);
  if (key == "reason") return read(value, task.reason);
  if (key == "node") return read(value, task.node);
  if (key == "attempt") return read(value, task.attempt);
  if (key == "exit_code") return read(value, task.exit_code);
  if (key == "signal") return read(value, task.signal);
  if (key == "started_at") return read(value, task.started_at);
  if (key == "finished_at") return read(value, task.finished_at);
  if (key == "duration_ms") return read(value, task.duration_ms);
  if (key == "cpu_ms") return read(value, task.cpu_ms);
  if (key == "max_rss") return read(value, task.max_rss);
  if (key == "entry") return read(value, task.entry);
  if (key == "log_truncated") return read(value, task.log_truncated);
  if (key == "detail") return read(value, task.detail);
  return key != "outputs" || value.kind == Scalar::Kind::kNoList;
}

bool read_plain(std::string_view object, TaskView& task) {
  FlatObject fields(object);
  std::string_view key;
  Scalar value;
  bool has_job = false;
  bool has_state = false;
  while (fields.next(key, value)) {
    if (!read_field(key, value, task)) return false;
    has_job |= key == "job";
    has_state |= key == "state";
  }
  return has_job && has_state && fields.is_at_end();
}

// Of a text that begins with an object: how long that is; 0 when it does not end.
std::size_t object_length(std::string_view text) {
  std::size_t depth = 0;
  bool is_text = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (is_text) {
      if (c == '\\') ++at;
      is_text = c != '"';
    } else if (c == '"') {
      is_text = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return at + 1;
    }
  }
  return 0;
}

Result<TaskView> read_task(std::string_view object) {
  TaskView task;
  if (read_plain(object, task)) return task;
  return task_from_json(object);
}

// "[{..},{..}]" without a blank between them; nothing when it is written otherwise.
std::optional<std::vector<std::string_view>> objects_of(std::string_view list) {
  std::vector<std::string_view> objects;
  if (list.ends_with('\n')) list.remove_suffix(1);
  if (!list.starts_with("[{")) return std::nullopt;
  while (list.size() > 1 && list[1] == '{') {
    list.remove_prefix(1);
    const std::size_t length = object_length(list);
    if (length == 0) return std::nullopt;
    objects.push_back(list.substr(0, length));
    list.remove_prefix(length);
    if (list.empty() || (list.front() != ',' && list.front() != ']')) return std::nullopt;
    if (list.front() == ']') break;
  }
  return list == "]" ? std::optional(std::move(objects)) : std::nullopt;
}

}  // namespace

Result<std::vector<TaskView>> tasks_from_json(std::string_view text) {
  std::vector<TaskView> tasks;
  const auto add = [&](std::string_view object) {
    Result<TaskView> task = read_task(object);
    if (task) tasks.push_back(std::move(*task));
    return task ? Result<void>{} : tl::unexpected(task.error());
  };
  if (const auto objects = objects_of(text)) {
    tasks.reserve(objects->size());
    for (const std::string_view object : *objects) {
      if (Result<void> fine = add(object); !fine) return tl::unexpected(fine.error());
    }
    return tasks;
  }
  const Result<nlohmann::json> parsed = parse_array(text);
  if (!parsed) return tl::unexpected(parsed.error());
  for (const nlohmann::json& element : *parsed) {
    if (Result<void> fine = add(element.dump()); !fine) return tl::unexpected(fine.error());
  }
  return tasks;
}

}  // namespace dunlin
