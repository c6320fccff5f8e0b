#include "os/client_streams.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace dunlin {

class ClientStreams::Stream : public ByteStream {
 public:
  Stream(ClientStreams& all, Connection& connection) : all_(all), connection_(&connection) {}
  ~Stream() override { ASSERT(connection_ == nullptr); }

  void open(Events events) override { events_ = std::move(events); }
  void set_reading(bool is_wanted) override {
    if (connection_ != nullptr) connection_->set_reading(is_wanted);
  }

  void send(std::string data) override {
    if (connection_ == nullptr) return;
    for (std::size_t at = 0; at < data.size(); at += kMaxClientFrame) {
      connection_->send(to_bytes(std::string_view(data).substr(at, kMaxClientFrame)));
    }
    // Where the connection has asked for more it will take this by itself.
    if (is_asked_) return;
    is_sending_ = true;
    connection_->flush();
    is_sending_ = false;
    left_ = unsent();
  }
  std::size_t unsent() override { return connection_ == nullptr ? 0 : connection_->unsent(); }
  // A session has no half that could end alone: the client sees the end of the answer.
  void finish() override {}

  void close(std::function<void()> closed) override {
    Connection* connection = std::exchange(connection_, nullptr);
    if (connection == nullptr) return closed();
    all_.streams_.erase(connection);
    connection->close(std::move(closed));
  }

  void take(const Bytes& frame) { events_.on_data(as_text(frame)); }
  // The connection asks for more after each read too: that some has gone is told only where it has.
  void take_room() {
    if (is_sending_ || unsent() >= left_) return;
    is_asked_ = true;
    events_.on_sent();
    is_asked_ = false;
    left_ = unsent();
  }
  void take_end() {
    events_.on_end();
    // Whoever did not close it now has lost it all the same.
    connection_ = nullptr;
  }

 private:
  ClientStreams& all_;
  Connection* connection_;  // none: it has ended
  Events events_;
  bool is_sending_ = false;
  bool is_asked_ = false;
  std::size_t left_ = 0;  // unsent when that was last looked at
};

bool ClientStreams::has_room(const TokenId& token) const {
  if (streams_.size() >= kMaxClientSessions) return false;
  const auto same = std::count_if(streams_.begin(), streams_.end(), [&](const auto& item) {
    return item.first->peer().key_name.raw == token.raw;
  });
  return static_cast<std::size_t>(same) < kMaxClientSessionsOfToken;
}

std::unique_ptr<ByteStream> ClientStreams::adopt(Connection& connection) {
  auto stream = std::make_unique<Stream>(*this, connection);
  streams_[&connection] = stream.get();
  connection.set_reading(false);
  return stream;
}

void ClientStreams::on_frame(Connection& connection, const Bytes& frame) {
  const auto at = streams_.find(&connection);
  if (at != streams_.end()) at->second->take(frame);
}

void ClientStreams::on_room(Connection& connection) {
  const auto at = streams_.find(&connection);
  if (at != streams_.end()) at->second->take_room();
}

void ClientStreams::on_end(Connection& connection) {
  const auto at = streams_.find(&connection);
  if (at == streams_.end()) return;
  Stream& stream = *at->second;
  streams_.erase(at);
  stream.take_end();
}

void ClientStreams::close() {
  while (!streams_.empty()) {
    Connection& connection = *streams_.begin()->first;
    connection.close();
    on_end(connection);
  }
}

}  // namespace dunlin
