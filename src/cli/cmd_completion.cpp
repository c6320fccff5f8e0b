// completion: the scripts that shells load, and the question that those ask at each Tab.
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"

namespace dunlin {

namespace {

// Words are put together again as they were typed: bash breaks them at '=' and ':' as well.
constexpr const char* kBash =
    R"(# bash completion of dunlin: what may stand at the cursor, the program itself says.
_dunlin()
{
    local program word prefix i rest=${COMP_LINE:0:COMP_POINT}
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then
            words+=("")
            rest=${rest#"${rest%%[![:space:]]*}"}
        fi
        ((i < COMP_CWORD)) || word=$rest
        words[-1]+=$word
        rest=${rest#"$word"}
    done
    prefix=${words[-1]}
    [[ $word == [=:] ]] || prefix=${prefix%"$word"}
    program=$(type -P -- "${COMP_WORDS[0]}") || program=dunlin
    while IFS=$'\t' read -r word _; do
        case $word in
            :files) compopt -o default ;;
            :commands) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "${words[-1]}") ;;
            *) COMPREPLY+=("${word#"$prefix"}") ;;
        esac
    done < <("$program" completion words "${words[@]:1}" 2>/dev/null)
}
complete -F _dunlin dunlin
)";

constexpr const char* kZsh = R"(#compdef dunlin
# zsh completion of dunlin: what may stand at the cursor, the program itself says.
_dunlin()
{
    local word about
    local -a found
    while IFS=$'\t' read -r word about; do
        case $word in
            :files) _files ;;
            :commands) _command_names -e ;;
            *) found+=("${word//:/\\:}:$about") ;;
        esac
    done < <("${words[1]/#\~/$HOME}" completion words "${(Q)words[2,CURRENT-1][@]}" "$PREFIX" 2>/dev/null)
    (( ${#found} )) && _describe -V dunlin found
}
if [[ ${funcstack[1]-} == _dunlin ]]; then
    _dunlin "$@"
else
    compdef _dunlin dunlin
fi
)";

// The answer to a shell's script: a line for each candidate, and for what the shell knows better.
std::string lines_of(const Completion& completion) {
  std::string text;
  for (const Candidate& candidate : completion.candidates) {
    text += candidate.word + "\t" + candidate.about + "\n";
  }
  if (completion.wants_commands) text += ":commands\n";
  if (completion.wants_files) text += ":files\n";
  return text;
}

}  // namespace

int run_completion(Invocation& call) {
  const std::vector<std::string>& words = call.args.words;
  constexpr unsigned kPatienceS = 3;  // whoever pressed Tab waits
  if (words[0] == "words") {
    alarm(kPatienceS);
    print(lines_of(complete({words.begin() + 1, words.end()})));
    return kExitWell;
  }
  if (words.size() > 1) return call.usage("completion does not take '" + words[1] + "'");
  if (words[0] != "bash" && words[0] != "zsh") {
    return call.usage("there is no completion for '" + words[0] + "'", "give bash or zsh");
  }
  print(words[0] == "bash" ? kBash : kZsh);
  return kExitWell;
}

}  // namespace dunlin
