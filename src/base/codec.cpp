#include "base/codec.h"

#include <algorithm>

namespace dunlin {

void get(Decoder& in, GroupId& value) {
  std::uint16_t raw = 0;
  get(in, raw);
  if (raw >= kMaxGroups) in.fail();
  value.value = in.ok() ? raw : std::uint16_t{0};
}

void get(Decoder& in, JobId& value) {
  const std::string_view text = in.text();
  if (text.empty()) {
    value = {};
    return;
  }
  const std::optional<JobId> id = JobId::from_text(text);
  if (!id) in.fail();
  value = id.value_or(JobId{});
}

void get_exactly(Decoder& in, std::span<std::uint8_t> out) {
  const ByteView bytes = in.binary();
  if (bytes.size() != out.size()) {
    in.fail();
    return;
  }
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

}  // namespace dunlin
