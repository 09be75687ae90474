# shellcheck shell=bash
# Bash completion for closetrace. The words are asked of the command itself (closetrace --list), so that they are those
# of the version that is installed. Needs nothing of the bash-completion package.

_closetrace_colors=$'auto\nalways\nnever'

_closetrace_offer() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    [[ $word != "$2"* ]] || COMPREPLY+=("$word")
  done <<<"$1"
}

_closetrace_list() {
  "${COMP_WORDS[0]}" --list "$1" 2>/dev/null
}

_closetrace_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# The trace that the line names: the first file behind the subcommand.
_closetrace_named_trace() {
  local word
  for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
    [ ! -f "$word" ] || { printf '%s' "$word" && return; }
  done
  return 1
}

# _closetrace_seen KEY|KEY: the values that they have in the beginning of the trace, as far as a shell needs no quotes
# for them: what is in a trace may come from anybody.
_closetrace_seen() {
  local trace
  trace=$(_closetrace_named_trace) || return
  head -c 8000000 -- "$trace" | grep -aoE "\"($1)\":\"[][A-Za-z0-9.:%_-]+\"" | sed 's/^"[a-z]*":"//; s/"$//' |
    LC_ALL=C sort -u | head -n 1000
}

# _closetrace_value KEY WORD: the values that the key may have. A negation is as good as none.
_closetrace_value() {
  local key=${1%!} words
  case $key in
    lport | rport) words=$(_closetrace_seen 'local|remote' | sed 's/.*://' | sort -nu) ;;
    laddr | raddr) words=$(_closetrace_seen 'local|remote' | sed 's/:[0-9]*$//' | LC_ALL=C sort -u) ;;
    comm) words=$(_closetrace_seen comm) ;;
    *) words=$(_closetrace_list "$key") ;;
  esac
  _closetrace_last_of_list "$words" "$2"
}

# _closetrace_address TYPED WORD: addresses of the trace, of which bash takes what stands behind the last colon.
_closetrace_address() {
  local typed=$1 words
  words=$(_closetrace_seen 'local|remote')
  words=$words$'\n'$(printf '%s\n' "$words" | sed 's/.*://' | sort -nu)
  words=$(while IFS= read -r word; do
    [[ $word != "$typed"?* ]] || printf '%s\n' "${word#"$typed"}"
  done <<<"$words")
  _closetrace_offer "$words" "$2"
}

# What follows the last of several: open,re[fs] - as bash has it, which breaks words at = and :, not at a comma.
_closetrace_last_of_list() {
  local before=
  [[ $2 != *,* ]] || before=${2%,*},
  _closetrace_offer "$1" "${2#"$before"}"
  COMPREPLY=("${COMPREPLY[@]/#/$before}")
}

# The expression that the cursor is in, in one piece: trace=open, inject=close:as=RS.
_closetrace_expression() {
  local before=$1 word=$2
  case $before in
    '')
      _closetrace_offer "$(_closetrace_list expressions | sed 's/$/=/')" "$word"
      compopt -o nospace 2>/dev/null
      ;;
    trace=) _closetrace_last_of_list "$(_closetrace_list classes)" "$word" ;;
    verify=) _closetrace_offer $'kernel\noff' "$word" ;;
    inject= | fault=) _closetrace_last_of_list "$(_closetrace_list calls)" "$word" ;;
    *:as= | *:then=) _closetrace_offer "$(_closetrace_list ways)" "$word" ;;
    *:scope=) _closetrace_offer "$(_closetrace_list scopes)" "$word" ;;
    *:)
      local keys
      keys=$(_closetrace_list conditions)
      [[ $before == only=* ]] || keys+=$'\n'$(_closetrace_list parts)
      _closetrace_offer "${keys//$'\n'/=$'\n'}=" "$word"
      compopt -o nospace 2>/dev/null
      ;;
    only=)
      _closetrace_offer "$(_closetrace_list conditions | sed 's/$/=/')" "$word"
      compopt -o nospace 2>/dev/null
      ;;
    *=)
      before=${before%=}
      _closetrace_value "${before##*[:=]}" "$word"
      ;;
  esac
}

# Bash breaks words at = and :, which belong to ours.
_closetrace() {
  local cur=${COMP_WORDS[COMP_CWORD]} before='' previous line=${COMP_LINE:0:COMP_POINT} subcommand i
  COMPREPLY=()
  [[ $cur != [=:]* ]] || cur=
  # The word as the user sees it: what stands behind the last blank.
  before=${line##*[[:blank:]]}
  before=${before#[\'\"]}
  [[ -z $cur || $before != *"$cur" ]] || before=${before%"$cur"}
  previous=${line%"$before$cur"}
  previous=${previous%"${previous##*[![:blank:]]}"}
  previous=${previous##*[[:blank:]]}
  subcommand=${COMP_WORDS[1]-}

  if [ "$COMP_CWORD" -le 1 ]; then
    _closetrace_offer "$(_closetrace_list subcommands)"$'\n--help\n--version\n--list' "$cur"
    return
  fi
  case $subcommand in
    --list)
      _closetrace_offer "$("${COMP_WORDS[0]}" --list 2>/dev/null)" "$cur"
      return
      ;;
    run)
      # Behind the options: the program and its own arguments.
      for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
          -o | --output | --messages | -e | -E | --env | --format | --seed) i=$((i + 1)) ;;
          -*) ;;
          [=:]) i=$((i + 1)) ;;
          *)
            if declare -F _command_offset >/dev/null; then
              _command_offset "$i"
            else
              _closetrace_files "$cur"
            fi
            return
            ;;
        esac
      done
      case $previous in
        -o | --output | --messages) _closetrace_files "$cur" && return ;;
        -e) _closetrace_expression "$before" "$cur" && return ;;
        -E | --env | --seed) return ;;
        --format) _closetrace_offer $'text\njson' "$cur" && return ;;
      esac
      case $before in
        --format=) _closetrace_offer $'text\njson' "$cur" ;;
        --messages= | --output=) _closetrace_files "$cur" ;;
        --color=) _closetrace_offer "$_closetrace_colors" "$cur" ;;
        -e?*) _closetrace_expression "${before#-e}" "$cur" ;;
        *)
          if [[ $cur == -* ]]; then
            _closetrace_offer "$(_closetrace_list run-options)" "$cur"
          else
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
          fi
          ;;
      esac
      ;;
    now)
      case $before in
        --format=) _closetrace_offer $'text\njson' "$cur" ;;
        --color=) _closetrace_offer "$_closetrace_colors" "$cur" ;;
        -*=) ;;
        *=) _closetrace_value "${before%=}" "$cur" ;;
        *)
          if [[ $cur == -* ]]; then
            _closetrace_offer "$(_closetrace_list now-options)" "$cur"
          else
            _closetrace_offer "$(_closetrace_list conditions | sed 's/$/=/')" "$cur"
            compopt -o nospace 2>/dev/null
          fi
          ;;
      esac
      ;;
    report)
      case $before in
        --format=) _closetrace_offer "$(_closetrace_list formats)" "$cur" && return ;;
        --color=) _closetrace_offer "$_closetrace_colors" "$cur" && return ;;
        --output=) _closetrace_files "$cur" && return ;;
        --only=*) _closetrace_last_of_list "$(_closetrace_list findings)" "${before#--only=}$cur" && return ;;
        --ignore=) _closetrace_offer "$(_closetrace_list findings)" "$cur" && return ;;
        --connection=*) _closetrace_address "${before#--connection=}" "$cur" && return ;;
      esac
      case $previous in
        -o | --output) _closetrace_files "$cur" ;;
        --format) _closetrace_offer "$(_closetrace_list formats)" "$cur" ;;
        --only) _closetrace_last_of_list "$(_closetrace_list findings)" "$before$cur" ;;
        --ignore) _closetrace_offer "$(_closetrace_list findings)" "$cur" ;;
        --connection) _closetrace_address "$before" "$cur" ;;
        *)
          if [[ $cur == -* ]]; then
            _closetrace_offer "$(_closetrace_list report-options)" "$cur"
          else
            _closetrace_files "$cur"
          fi
          ;;
      esac
      ;;
    print | grep)
      if [[ $before == --color= ]]; then
        _closetrace_offer "$_closetrace_colors" "$cur"
      elif [[ $cur == -* ]]; then
        _closetrace_offer "$(_closetrace_list "$subcommand-options")" "$cur"
      elif [[ $before == local*= || $before == remote*= || $before == local*=*: || $before == remote*=*: ]]; then
        _closetrace_address "${before#*=}" "$cur"
      elif [[ $before == *=* ]]; then
        _closetrace_value "${before%%=*}" "${before#*=}$cur"
      elif [[ $previous == -m || $previous == --max-count ]]; then
        return
      elif [ "$COMP_CWORD" -gt 2 ] && _closetrace_named_trace >/dev/null; then
        _closetrace_offer "$(_closetrace_list keys | sed 's/$/=/')" "$cur"
        compopt -o nospace 2>/dev/null
      else
        _closetrace_files "$cur"
      fi
      ;;
  esac
}

complete -F _closetrace closetrace
