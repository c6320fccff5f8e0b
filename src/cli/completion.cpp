#include "cli/completion.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "cli/invocation.h"
#include "cli/table.h"
#include "os/json.h"

namespace dunlin {

namespace {

std::vector<std::string> words_of(std::string_view text, char between) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find(between);
    if (end != 0) words.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return words;
}

class Completer {
 public:
  explicit Completer(const std::vector<std::string>& words)
      : given_(words.begin(), words.empty() ? words.end() : words.end() - 1),
        current_(words.empty() ? std::string() : words.back()) {}

  Completion complete() {
    skip_general_options();
    if (at_ < given_.size() && given_[at_] == "help") ++at_;
    const Command* command = take_command();
    if (command != nullptr) {
      complete_in(*command);
    } else if (value_of_ == nullptr && at_ == given_.size() && current_.starts_with('-')) {
      offer_options(general_options());
    }
    if (value_of_ != nullptr) offer_value(*value_of_, "");
    return std::move(found_);
  }

 private:
  void offer(const std::string& word, const std::string& about) {
    if (word.starts_with(current_)) found_.candidates.push_back({word, about});
  }

  // --server and others may stand in front of the command.
  void skip_general_options() {
    while (at_ < given_.size() && given_[at_].starts_with('-')) take_option({&general_options()});
  }

  // The command that is typed; null, with what it may become, when it is still being typed.
  const Command* take_command() {
    if (value_of_ != nullptr) return nullptr;
    const std::string first = at_ < given_.size() ? given_[at_] : std::string();
    const std::string second = at_ + 1 < given_.size() ? given_[at_ + 1] : std::string();
    const bool is_first = at_ == given_.size();
    std::set<std::string> offered;
    for (const Command& command : commands()) {
      if (command.run == nullptr) continue;
      const std::vector<std::string> name = words_of(command.name, ' ');
      if (is_first) {
        if (offered.insert(name[0]).second) offer(name[0], name.size() > 1 ? "" : command.summary);
      } else if (name.size() == 1 && name[0] == first) {
        ++at_;
        return &command;
      } else if (name.size() == 2 && name[0] == first && name[1] == second) {
        at_ += 2;
        return &command;
      } else if (name.size() == 2 && name[0] == first && at_ + 1 == given_.size()) {
        offer(name[1], command.summary);
      }
    }
    if (is_first) offer("help", "what a command does");
    return nullptr;
  }

  // Takes an option and its value; value_of_ is set where the value is what is being typed.
  void take_option(const std::vector<const OptionTable*>& tables) {
    const std::string& word = given_[at_++];
    const std::size_t equals = word.find('=');
    for (const OptionTable* table : tables) {
      for (const Option& option : *table) {
        const bool is_short = word.size() == 2 && word[1] == option.letter;
        if (!is_short && word.substr(0, equals) != std::string("--") + option.name) continue;
        if (!option.repeats) typed_.insert(option.name);
        if (option.takes == Takes::kNothing) return;
        if (equals != std::string::npos) return remember(option, word.substr(equals + 1));
        if (at_ == given_.size()) {
          value_of_ = &option;
        } else {
          remember(option, given_[at_++]);
        }
        return;
      }
    }
  }

  // Whom the line is for decides who is asked.
  void remember(const Option& option, const std::string& value) {
    if (std::string_view(option.name) == "server") server_ = value;
    if (std::string_view(option.name) == "token-file") token_file_ = value;
  }

  void complete_in(const Command& command) {
    const std::vector<const OptionTable*> tables = {command.options, &general_options()};
    std::size_t count = 0;
    bool ended = false;
    while (at_ < given_.size()) {
      const std::string& word = given_[at_];
      if (!ended && word == "--") {
        ended = true;
        ++at_;
      } else if (!ended && word.size() > 1 && word[0] == '-') {
        take_option(tables);
      } else {
        ++count;
        ++at_;
        if (command.words == Words::kCommand) ended = true;
      }
    }
    if (value_of_ != nullptr) return;
    if (!ended && current_.starts_with('-')) {
      const std::size_t equals = current_.find('=');
      if (equals != std::string::npos) return complete_joined(tables, equals);
      for (const OptionTable* table : tables) offer_options(*table);
    } else {
      offer_word(command, count);
    }
  }

  // --state=fa
  void complete_joined(const std::vector<const OptionTable*>& tables, std::size_t equals) {
    for (const OptionTable* table : tables) {
      const Option* option = find_option(*table, current_.substr(2, equals - 2));
      if (option == nullptr || option->takes == Takes::kNothing) continue;
      const std::string before = current_.substr(0, equals + 1);
      current_.erase(0, equals + 1);
      return offer_value(*option, before);
    }
  }

  void offer_options(const OptionTable& table) {
    for (const Option& option : table) {
      if (!option.available || typed_.contains(option.name)) continue;
      offer(std::string("--") + option.name, option.help);
    }
  }

  void offer_value(const Option& option, const std::string& before) {
    if (option.choices != nullptr) {
      for (const std::string& choice : words_of(option.choices, ' ')) offer(choice, "");
    } else {
      offer_named(option.argument);
    }
    for (Candidate& candidate : found_.candidates) candidate.word.insert(0, before);
  }

  // The word is what the command's usage calls it.
  void offer_word(const Command& command, std::size_t count) {
    const std::string_view usage = command.usage;
    if (usage.find("CMD") != std::string_view::npos) {
      found_.wants_files = true;
      found_.wants_commands = count == 0;
      return;
    }
    const std::string_view name = usage.substr(0, usage.find(' '));
    const bool repeats = name.ends_with("...");
    if (count > 0 && !repeats) return;
    if (name.find('|') != std::string_view::npos) {
      for (const std::string& choice : words_of(name, '|')) offer(choice, "");
    } else {
      offer_named(name);
    }
  }

  // What tables and usages call by this name.
  void offer_named(std::string_view name) {
    if (name.starts_with('[')) name.remove_prefix(1);
    const std::string_view kind =
        name.substr(0, name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    if (kind == "JOB") offer_jobs();
    if (kind == "NODE") offer_nodes();
    if (kind == "ZONE") offer_zones();
    if (kind == "ID") offer_tokens();
    if (kind == "FILE" || kind == "DIR" || kind == "PATH") found_.wants_files = true;
  }

  std::optional<std::string> answer_to(const std::string& question) {
    auto servers = servers_to_try(server_, token_file_);
    if (!servers) return std::nullopt;
    const auto answer = Client(std::move(*servers)).call("GET", question, {}, seconds(2));
    return answer ? std::optional(answer->body) : std::nullopt;
  }

  void offer_jobs() {
    const auto answer = answer_to("/v1/jobs?mine=1&all=1&limit=200");
    const auto jobs = answer ? jobs_from_json(*answer) : Result<std::vector<JobSummary>>();
    if (!jobs) return;
    if (!jobs->empty()) offer("last", "the newest job");
    for (const JobSummary& job : *jobs) {
      offer(job.id.text(), printable(job.name) + ", " + name_of(job.state));
    }
  }

  std::vector<Member> nodes() {
    const auto answer = answer_to("/v1/nodes");
    const auto nodes = answer ? nodes_from_json(*answer) : Result<std::vector<Member>>();
    return nodes ? *nodes : std::vector<Member>();
  }

  // By name; whoever has begun to type an id gets that.
  void offer_nodes() {
    const std::vector<Member> all = nodes();
    for (const Member& node : all) {
      if (node.state != MemberState::kLeft) offer(node.facts.name, node.facts.address);
    }
    if (current_.empty() || !found_.candidates.empty()) return;
    for (const Member& node : all) offer(node.facts.id.text(), node.facts.name);
  }

  void offer_zones() {
    std::set<std::string> zones;
    for (const Member& node : nodes()) {
      if (!node.facts.zone.empty()) zones.insert(node.facts.zone);
    }
    for (const std::string& zone : zones) offer(zone, "");
  }

  void offer_tokens() {
    const auto answer = answer_to("/v1/tokens");
    const auto list = answer ? tokens_from_json(*answer) : Result<client::TokenList>();
    if (!list) return;
    for (const client::TokenView& token : list->tokens) offer(token.id.text(), token.role);
  }

  const std::vector<std::string> given_;  // what stands before the word
  std::string current_;
  std::size_t at_ = 0;                        // of given_
  const Option* value_of_ = nullptr;          // the word is this option's value
  std::set<std::string, std::less<>> typed_;  // options that may not stand there again
  std::string server_, token_file_;
  Completion found_;
};

}  // namespace

Completion complete(const std::vector<std::string>& words) {
  return Completer(words).complete();
}

}  // namespace dunlin
