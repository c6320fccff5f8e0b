// GET /v1/nodes, /v1/status, /v1/pick-group; POST /v1/down, /v1/leave, /v1/drain, /v1/undrain,
// /v1/forget.
#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

class Nodes : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto asks = target_.take_flag("ask");
    if (!asks) return tl::unexpected(asks.error());
    return client::ListNodes{*asks};
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto list = answer_as<client::NodeList>(std::move(answer));
    if (!list) return tl::unexpected(list.error());
    return Rendered{nodes_json(*list), {{"Dunlin-Node", list->self.text()}}};
  }
};

class GetStatus : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override { return client::GetStatus{}; }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto status = answer_as<client::Status>(std::move(answer));
    if (!status) return tl::unexpected(status.error());
    return Rendered{status_json(*status), {}};
  }
};

class PickGroup : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override { return client::PickGroup{}; }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto picked = answer_as<client::PickedGroup>(std::move(answer));
    if (!picked) return tl::unexpected(picked.error());
    return Rendered{group_choice_json({picked->group, picked->group_count, request_.user}), {}};
  }
};

class Down : public DoneExchange {
  using DoneExchange::DoneExchange;
  Result<client::Request> question() override {
    if (!is_operator()) return not_an_operator("stopping a node");
    return client::StopNode{};
  }
};

const char* purpose_of(const client::LeaveNode&) {
  return "taking a node out of the cluster";
}
const char* purpose_of(const client::DrainNode&) {
  return "draining a node";
}
const char* purpose_of(const client::UndrainNode&) {
  return "letting a node take tasks";
}

class Forget : public DoneExchange {
  using DoneExchange::DoneExchange;
  Result<client::Request> question() override {
    if (!is_operator()) return not_an_operator("forgetting a node");
    auto request = forget_request_from_json(as_text(request_.body));
    if (!request) return tl::unexpected(request.error());
    return std::move(*request);
  }
};

// What a node is told to do, this one if none is named. Lines of JSON: {"progress":"..."} as it
// goes, at last {"done":true} or {"error":{...}}; {} is a sign of life.
template <class Order, Result<Order> (*read)(std::string_view)>
class NodeOrder : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    if (!is_operator()) return refuse(not_an_operator(purpose_of(wanted_)).value());
    auto request = read(as_text(request_.body));
    if (!request) return refuse(request.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    wanted_ = *request;
    if (wanted_.node.is_none()) return ask(kWhoAmI, client::ListNodes{});
    ask(kOrder, wanted_);
  }

  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool) override {
    if (tag == kWhoAmI) {
      const auto list = answer_as<client::NodeList>(std::move(answer));
      if (!list) return refuse(list.error());
      wanted_.node = list->self;
      return ask(kOrder, wanted_);
    }
    if (!answer) return fail_with(answer.error());
    if (!has_begun()) begin("application/x-ndjson", "{}\n");
    if (const auto* progress = std::get_if<client::Progress>(&*answer)) {
      std::string line;
      JsonWriter out(line);
      out.begin_object();
      out.field("progress", progress->text);
      out.end_object();
      write(line + "\n");
      return;
    }
    write("{\"done\":true}\n");
    end();
  }

 private:
  static constexpr std::uint64_t kWhoAmI = 1;
  static constexpr std::uint64_t kOrder = 2;

  void fail_with(const Error& error) {
    if (!has_begun()) return refuse(error);
    write(error_json(error) + "\n");
    end();
  }

  Order wanted_;
};

using Leave = NodeOrder<client::LeaveNode, leave_request_from_json>;
using Drain = NodeOrder<client::DrainNode, drain_request_from_json>;
using Undrain = NodeOrder<client::UndrainNode, undrain_request_from_json>;

}  // namespace

const std::vector<Endpoint>& node_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/v1/nodes", 0, make_exchange<Nodes>},
      {"GET", "/v1/status", 0, make_exchange<GetStatus>},
      {"GET", "/v1/pick-group", 0, make_exchange<PickGroup>},
      {"POST", "/v1/down", kMaxJsonBody, make_exchange<Down>},
      {"POST", "/v1/leave", kMaxJsonBody, make_exchange<Leave>},
      {"POST", "/v1/forget", kMaxJsonBody, make_exchange<Forget>},
      {"POST", "/v1/drain", kMaxJsonBody, make_exchange<Drain>},
      {"POST", "/v1/undrain", kMaxJsonBody, make_exchange<Undrain>},
  };
  return all;
}

}  // namespace dunlin
