#!/usr/bin/env bats
# bats file_tags=root
# Every family of calls and every action of a rule: what the program saw, what the log says, what left and when.

load helpers/scene

# row RULE DOOR 'FACT=VALUE...' [CONDITION...] ['fin=N rst=N']: tests/programs/fault plays the door under the rule. Facts
# as the program tells them, MS>=N for a duration. Conditions hold for the one event of C with the rule as its `injected`
# (helpers/log.bash). What C sends until the program ends is held against the capture when all rows are done.
rows=()

row() {
  local rule=$1 door=$2 facts=$3 fact key wire='' conditions=() status=0
  shift 3
  for fact; do
    if [[ $fact == fin=*' 'rst=* ]]; then wire=$fact; else conditions+=("$fact"); fi
  done
  rm -f "$LOG"
  # shellcheck disable=SC2034 # log.bash reads it
  FACTS=()
  # shellcheck disable=SC2086 # a door and its argument
  trace CLOSETRACE_TRACE=none "CLOSETRACE_INJECT=$rule" fault $door || status=1
  for fact in $facts; do
    key=${fact%%[>=]*}
    if [[ $fact == *'>='* ]]; then
      [ "$(fact "$key")" -ge "${fact#*>=}" ] || status=1
    else
      [ "$(fact "$key")" = "${fact#*=}" ] || status=1
    fi
  done
  ((${#conditions[@]} == 0)) || assert_event C ".injected == \"$rule\"" "${conditions[@]}" || status=1
  rows+=("$(fact C) $(fact S) $rule $door|$wire")
  [ $status = 0 ] || { echo "row: $rule $door: $facts ${conditions[*]}" && log_show && return 1; }
}

# What each row's C has sent.
table_end() {
  local row from to wire sent
  capture_stop || log_fail "the capture is not whole"
  for row in "${rows[@]}"; do
    read -r from to _ <<<"$row"
    wire=${row#*|}
    [ -n "$wire" ] || continue
    # a port may have been another row's before
    sent=$(capture_segments "$from" | awk -v to="${to/:/.}" '$4 == to { n[$2]++ } END { printf "fin=%d rst=%d", n["FIN"], n["RST"] }')
    [ "$sent" = "$wire" ] || log_fail "wire: ${row%|*}: $sent instead of $wire"
  done
}

closed='FREE=1 REUSED=1 EPOLL=0'

@test "faults: close: every action" {
  # the end of the program ends what is held or half-closed still
  row close:as=HOLD:role=client close "RET=0 $closed PEER=none" op=close fin=withheld why=parked verified=true refs=1-1 'fin=1 rst=0'
  row close:as=SHUT_WR:role=client close "RET=0 $closed PEER=eof" op=close fin=sent why=shutdown verified=true 'fin=1 rst=0'
  row close:as=SHUT_RDWR:role=client close "RET=0 $closed PEER=eof" op=close fin=sent why=shutdown verified=true 'fin=1 rst=0'
  row close:as=SHUT_RD:role=client close "RET=0 $closed PEER=none" op=close fin=withheld why=parked 'fin=1 rst=0'
  row close:as=RST:role=client close "RET=0 $closed PEER=reset" op=close fin=reset why=disconnect verified=true 'fin=0 rst=1'
  row close:as=NONE:role=client close "RET=0 FREE=0 EPOLL=1 PEER=none" op=close ret=0 fin=withheld why=parked refs=1-1
  row close:error=EIO:role=client close "RET=-1 ERRNO=EIO $closed PEER=eof" op=close ret=-1 errno=EIO fin=sent 'fin=1 rst=0'
  row close:error=EBADF:role=client close "RET=-1 ERRNO=EBADF $closed PEER=eof" op=close errno=EBADF fin=sent 'fin=1 rst=0'
  row close:error=EINTR:as=NONE:role=client close "RET=-1 ERRNO=EINTR FREE=0 PEER=none" op=close errno=EINTR fin=withheld
  row close:retval=7:role=client close "RET=7 FREE=0 PEER=none" op=close ret=7 fin=withheld why=parked
  row close:signal=USR1:role=client close "RET=0 SIGNALS=1 $closed PEER=eof" op=close fin=sent 'fin=1 rst=0'
  row close:delay_enter=100ms:role=client close "RET=0 MS>=99 $closed PEER=eof" op=close '.duration >= 0.099' 'fin=1 rst=0'
  row close:delay_exit=100ms:role=client close "RET=0 MS>=99 $closed PEER=eof" op=close '.duration >= 0.1' 'fin=1 rst=0'
  row close:linger=0:role=client close "RET=0 $closed PEER=reset" op=close fin=reset why=linger-zero 'fin=0 rst=1'
  row close:linger=5s:role=client close "RET=0 $closed PEER=eof" op=close fin=sent 'fin=1 rst=0'
  row close:linger2=-1:role=client close "RET=0 $closed" op=close fin=reset why=linger2 'fin=1 rst=1'
  table_end
}

@test "faults: close: every door of the family" {
  local door free
  for door in close_range closefrom fclose freopen syscall_close; do
    free='FREE=1 EPOLL=0'
    [ $door != freopen ] || free='EPOLL=0' # /dev/null has taken the number
    row close:as=HOLD:hold=80ms:role=client $door "RET=0 $free PEER=eof PEER_MS>=70" op=close fin=withheld why=parked 'fin=1 rst=0'
    row close:as=RST:role=client $door "RET=0 $free PEER=reset" op=close fin=reset 'fin=0 rst=1'
    row close:as=NONE:role=client $door "RET=0 FREE=0 EPOLL=1 PEER=none" op=close fin=withheld
    if [ $door = closefrom ]; then # returns nothing
      row close:error=EIO:role=client $door "RET=0 $free PEER=eof" op=close errno=EIO fin=sent 'fin=1 rst=0'
    else
      row close:error=EIO:role=client $door "RET=-1 ERRNO=EIO $free PEER=eof" op=close errno=EIO fin=sent 'fin=1 rst=0'
    fi
  done
  table_end
}

@test "faults: shutdown" {
  local door
  for door in shutdown syscall_shutdown; do
    row shutdown:as=SHUT_RD $door "RET=0 FREE=0 PEER=none" op=shutdown how=SHUT_WR fin=none why=receive-side
    row shutdown:as=SHUT_WR "$door read" "RET=0 FREE=0 PEER=eof" op=shutdown how=SHUT_RD fin=sent why=shutdown
    row shutdown:as=CLOSE $door "RET=0 FREE=0 EPOLL=0 PEER=eof" op=close call='shutdown|syscall' fin=sent why=last-reference 'fin=1 rst=0'
    row shutdown:as=RST $door "RET=0 FREE=0 PEER=reset" op=shutdown fin=reset why=disconnect 'fin=0 rst=1'
    row shutdown:as=NONE $door "RET=0 FREE=0 PEER=none" op=shutdown fin=withheld why=parked
    row shutdown:error=ENOTCONN $door "RET=-1 ERRNO=ENOTCONN PEER=none" op=shutdown errno=ENOTCONN fin=withheld why=parked
  done
  row shutdown:as=SHUT_RDWR shutdown "RET=0 FREE=0 PEER=eof" op=shutdown fin=sent 'fin=1 rst=0'
  row shutdown:retval=0 shutdown "RET=0 PEER=none" op=shutdown ret=0 fin=withheld
  row shutdown:signal=USR1:delay_enter=50ms:delay_exit=50ms shutdown "RET=0 SIGNALS=1 MS>=99 PEER=eof" op=shutdown fin=sent
  row shutdown:then=RST shutdown "RET=0 FREE=0" 'fin=1 rst=1'
  table_end
}

@test "faults: write: every door of the family" {
  local door ret
  for door in write writev pwritev2 send sendto sendmsg sendmmsg sendfile splice dprintf fflush syscall_write; do
    ret=5
    [ $door != sendmmsg ] || ret=1
    [ $door != fflush ] || ret=0
    row write:error=EPIPE:role=client $door "RET=-1 ERRNO=EPIPE PEER=none" op=write ret=-1 errno=EPIPE
    row write:then=SHUT_WR:role=client $door "RET=$ret PEER=5+eof" op=shutdown fin=sent why=shutdown 'fin=1 rst=0'
    case $door in
      sendmmsg | dprintf | fflush) continue ;; # a whole that cannot be shortened
    esac
    row write:short=3:role=client $door "RET=3 PEER=3+none" op=write ret=3
  done
  row write:retval=4:role=client write "RET=4 PEER=none" op=write ret=4
  row write:delay_enter=50ms:role=client writev "RET=5 MS>=49 PEER=5+none" op=write
  row write:then=SHUT_RDWR:role=client write "RET=5 PEER=5+eof" op=shutdown how=SHUT_RDWR fin=sent
  row write:then=RST:role=client write "RET=5" op=shutdown fin=reset why=disconnect 'fin=0 rst=1'
  row write:signal=USR1:delay_exit=50ms:role=client write "RET=5 SIGNALS=1 MS>=49 PEER=5+none" op=write ret=5
  table_end
}

@test "faults: read: every door of the family" {
  local door ret
  for door in read readv preadv2 recv recvfrom recvmsg recvmmsg fgetc syscall_read; do
    ret=5
    [[ $door != recvmmsg && $door != fgetc ]] || ret=1
    row read:error=ECONNRESET:role=client $door "RET=-1 ERRNO=ECONNRESET" op=read errno=ECONNRESET
    row read:then=RST:role=client $door "RET=$ret PEER=reset" op=shutdown fin=reset 'fin=0 rst=1'
    [ $ret = 5 ] || continue
    row read:short=2:role=client $door "RET=2" op=read ret=2
  done
  row read:retval=0:role=client read "RET=0" op=read ret=0
  row read:delay_enter=25ms:delay_exit=25ms:role=client recv "RET=5 MS>=49" op=read
  row read:then=SHUT_WR:role=client read "RET=5 PEER=eof" op=shutdown fin=sent
  row read:signal=USR1:role=client read "RET=5 SIGNALS=1" op=read
  table_end
}

@test "faults: connect and accept" {
  # the scene has made a connection before
  row connect:error=ETIMEDOUT:when=2 connect "RET=-1 ERRNO=ETIMEDOUT" op=connect errno=ETIMEDOUT 'fin=0 rst=0'
  row connect:then=SHUT_WR:when=2 connect "RET=0 PEER=eof" op=shutdown call=connect fin=sent
  row connect:then=RST:when=2 connect "RET=0 PEER=reset" op=shutdown call=connect fin=reset 'fin=0 rst=1'
  row connect:signal=USR1:delay_enter=50ms:delay_exit=50ms:when=2 connect "RET=0 SIGNALS=1 MS>=99" op=connect
  local door
  for door in accept accept4; do
    row accept:error=EMFILE $door "RET=-1 ERRNO=EMFILE"
    row accept:then=RST $door "RET=0 PEER=reset" op=shutdown fin=reset
    row accept:signal=USR1:delay_enter=50ms:delay_exit=50ms $door "RET=0 SIGNALS=1 MS>=99" op=accept
  done
  row accept:then=SHUT_WR accept "RET=0 PEER=eof" op=shutdown fin=sent
  row accept:then=SHUT_RDWR accept "RET=0 PEER=eof" op=shutdown fin=sent
  row accept:retval=-1 accept "RET=-1"
  table_end
}

@test "faults: dup, fork" {
  local door
  for door in dup dup2 dup3 fcntl; do
    row dup:error=EMFILE:role=client $door "RET=-1 ERRNO=EMFILE FREE=0 PEER=none" op=dup errno=EMFILE
  done
  row dup:signal=USR1:delay_enter=25ms:delay_exit=25ms dup2 "RET=0 SIGNALS=1 MS>=49" op=dup
  row dup:retval=-1 dup "RET=-1" op=dup
  for door in fork _Fork vfork posix_spawn system popen syscall_fork; do
    row fork:error=EAGAIN $door "RET=-1 ERRNO=EAGAIN PEER=none"
    [ "$(jq -r 'select(.op == "fork") | .errno' "$LOG")" = EAGAIN ]
    row fork:signal=USR1:delay_enter=25ms:delay_exit=25ms $door "RET=0 SIGNALS=1 MS>=49"
    [ "$(jq -c --argjson pid "$(fact PID)" 'select(.op == "rule" and .pid == $pid) | [.matched, .fired]' "$LOG")" = '[1,1]' ]
  done
  table_end
}

@test "faults: exit: every way to end" {
  local door
  for door in exit _exit quick_exit syscall_exit; do
    row exit:as=RST $door "RET=3 PEER=reset" op=shutdown fin=reset 'fin=0 rst=1'
    row exit:delay_enter=50ms $door "RET=3 MS>=49 PEER=eof" op=exit 'fin=1 rst=0'
  done
  row exit:signal=TERM exit "RET=-15 PEER=eof" 'fin=1 rst=0'
  row exit:as=SHUT_WR _exit "RET=3 PEER=eof" op=shutdown fin=sent why=shutdown 'fin=1 rst=0'
  row exit:as=SHUT_RD exit "RET=3 PEER=eof" op=shutdown fin=none why=receive-side 'fin=1 rst=0'
  row exit:as=SHUT_RDWR exit "RET=3 PEER=eof" op=shutdown fin=sent 'fin=1 rst=0'
  row exit:as=RST:lport=1 exit "RET=3 PEER=eof" 'fin=1 rst=0'
  table_end
}
