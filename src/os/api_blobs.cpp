// PUT /v1/blobs; GET /v1/blobs/ID.
#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

class Put : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    length_ = request_.body.size();
    if (length_ > kMaxBlob) {
      return fail(Code::kLimit,
                  "a blob of " + std::to_string(length_) + " bytes is over the limit " +
                      std::to_string(kMaxBlob),
                  "cut the file into pieces of 1 MiB");
    }
    return client::PutBlob{std::move(request_.body)};
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto blob = answer_as<client::BlobPut>(std::move(answer));
    if (!blob) return tl::unexpected(blob.error());
    return Rendered{blob_json(*blob, length_), {}};
  }
  std::size_t length_ = 0;
};

class Get : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = BlobId::from_text(target_.places[0]);
    if (!id) return fail(Code::kUsage, "'" + target_.places[0] + "' is no blob's id");
    return client::GetBlob{*id};
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto blob = answer_as<client::BlobGot>(std::move(answer));
    if (!blob) return tl::unexpected(blob.error());
    return Rendered{to_text(blob->data), {}, "application/octet-stream"};
  }
};

}  // namespace

const std::vector<Endpoint>& blob_endpoints() {
  static const std::vector<Endpoint> all = {
      {"PUT", "/v1/blobs", kMaxHttpBody, make_exchange<Put>},
      {"GET", "/v1/blobs/{}", 0, make_exchange<Get>},
  };
  return all;
}

}  // namespace dunlin
