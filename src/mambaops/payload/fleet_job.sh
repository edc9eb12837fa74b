# One job of a fleet on its machine: started so that it outlives the connection, followed, stopped. Files that are
# carried there are looked at too. Piped into `sh -s` behind a line `set -- ACTION JOB …`, so it needs a POSIX shell and
# nothing else. Lines that begin with "@ " are for us, those with "| " are the job's, those with "- " tell what Slurm does.
set -u
home=$HOME/.mambaops-fleet
job=$home/jobs/$2

alive() {
    if [ -s "$job/slurm" ]; then queued; return; fi
    pid=$(cat "$job/pid" 2>/dev/null) || return 1
    kill -0 "$pid" 2>/dev/null || return 1
    # another process may have its number by now
    [ ! -r "/proc/$pid/cmdline" ] || grep -q fleet-job "/proc/$pid/cmdline"
}

# Slurm's job waits or runs; where its controller does not answer, nothing says that it ended
queued() {
    shown=$(scontrol show job -o "$(cat "$job/slurm")" 2>&1)
    state=$(printf '%s\n' "$shown" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p')
    case $state in
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | SIGNALING | STOPPED | REQUEUE*) return 0 ;;
    "") case $shown in *"Invalid job id"*) return 1 ;; *) return 0 ;; esac ;;
    *) return 1 ;;
    esac
}

same() {
    [ "$(cat "$job/what" 2>/dev/null)" = "$1" ]
}

# start JOB DIGEST COMMAND ALWAYS SBATCH
start() {
    if alive; then
        if same "$3"; then echo "@ running"; else echo "@ busy"; fi
        return
    fi
    if [ "$5" = no ] && same "$3" && [ "$(cat "$job/status" 2>/dev/null)" = 0 ]; then
        echo "@ done"
        return
    fi
    mkdir -p "$job" && rm -f "$job/status" "$job/pid" "$job/slurm" && : >"$job/log" || exit 1
    printf '%s\n' "$3" >"$job/what" && printf '%s\n' "$4" >"$job/command" || exit 1
    # shellcheck disable=SC2016
    printf '%s\n' '#!/bin/sh' 'echo $$ >"$1/pid"' 'cd || exit' 'sh "$1/command" </dev/null >>"$1/log" 2>&1' \
        'echo $? >"$1/status.part" && mv "$1/status.part" "$1/status"' >"$job/fleet-job" || exit 1
    if [ -n "$6" ]; then submit "$2" "$6"; return; fi
    launch "$2"
    waited=0
    while [ ! -s "$job/pid" ] && [ "$waited" -lt 100 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    if [ -s "$job/pid" ]; then echo "@ started $how"; else echo "@ silent $how"; fi
}

# a cluster: its own Slurm holds the job, and queues it again where its node fails
submit() {
    if id=$(eval "sbatch --parsable --requeue --open-mode=append --job-name=mambaops-$1 --output=/dev/null $2" \
        '"$job/fleet-job" "$job"' 2>"$job/refused"); then
        echo "${id%%;*}" >"$job/slurm"
        echo "@ started slurm"
    else
        echo "@ refused $(tail -n 1 "$job/refused")"
    fi
}

# whichever is there; without lingering, systemd ends a user's services with the last connection
launch() {
    if command -v systemd-run >/dev/null 2>&1 &&
        [ "$(loginctl show-user "$(id -un)" -p Linger 2>/dev/null)" = Linger=yes ] &&
        systemd-run --user --quiet --collect --setenv=PATH="$PATH" sh "$job/fleet-job" "$job" >/dev/null 2>&1; then
        how=systemd-run
    elif command -v tmux >/dev/null 2>&1 &&
        tmux new-session -d -s "mambaops-$1" "exec sh '$job/fleet-job' '$job'" >/dev/null 2>&1; then
        how=tmux
    else
        how="nohup"
        away=
        ! command -v setsid >/dev/null 2>&1 || away="setsid"
        nohup $away sh "$job/fleet-job" "$job" </dev/null >/dev/null 2>&1 &
    fi
}

# follow JOB LINE
follow() {
    [ -f "$job/what" ] || { echo "@ none"; return; }
    at=$3
    over=
    before=
    while [ -z "$over" ]; do
        alive || over=yes
        if [ -s "$job/slurm" ] && [ "$state" != "$before" ]; then
            before=$state
            echo "- Slurm: job $(cat "$job/slurm")$(printf '%s\n' "$shown" | grep -Eo ' (JobState|Reason|Restarts|NodeList)=[^ ]*' | tr -d '\n')"
        fi
        # whole lines only: one that is cut off is never told twice
        all=$(wc -l <"$job/log")
        if [ "$all" -ge "$at" ]; then
            sed -n "${at},${all}s/^/| /p" "$job/log"
            at=$((all + 1))
        fi
        [ -n "$over" ] || sleep 0.5
    done
    rest=$(tail -n "+$at" "$job/log")
    [ -z "$rest" ] || printf '| %s\n' "$rest"
    echo "@ status $(cat "$job/status" 2>/dev/null || echo died)"
}

stop() {
    if [ -s "$job/slurm" ] && alive; then
        scancel "$(cat "$job/slurm")"
        echo 143 >"$job/status"
        echo "@ stopped"
    elif alive; then
        group=$(ps -o pgid= -p "$pid" | tr -d ' ')
        kill -TERM -- "-$group" 2>/dev/null || kill -TERM "$pid"
        echo 143 >"$job/status"
        echo "@ stopped"
    else
        echo "@ none"
    fi
}

# file - NAME SIZE: how much of it is there
file() {
    mkdir -p "$home/files/${3%/*}" || exit 1
    if [ -f "$home/files/$3" ]; then echo "@ there"; return; fi
    have=0
    [ ! -f "$home/files/$3.part" ] || have=$(wc -c <"$home/files/$3.part")
    if [ "$have" -gt "$4" ]; then rm -f "$home/files/$3.part"; have=0; fi
    echo "@ have $((have))"
}

# whole - NAME SHA256
whole() {
    found=$(sha256sum <"$home/files/$3.part" | cut -d' ' -f1)
    if [ "$found" = "$4" ]; then
        mv "$home/files/$3.part" "$home/files/$3" && echo "@ there"
    else
        rm -f "$home/files/$3.part"
        echo "@ broken"
    fi
}

"$1" "$@"
