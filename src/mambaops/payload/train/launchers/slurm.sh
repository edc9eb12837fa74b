#!/usr/bin/env bash
# Stage 2 under Slurm, on one node or several; every node must see this folder and the environment:
#   sbatch --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 FILE [flags of the program]
# One task is one rank. Before the time is over (USR1) and where the job is to leave (TERM) the state is saved and the
# job queued again; it goes on by itself (--resume auto). A rank that was killed does the same, five times at most.
#SBATCH --job-name=stage2
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
#SBATCH --output=stage2-%j.log
set -uo pipefail
export PYTHONPATH="@IMPORT_PATH@${PYTHONPATH:+:$PYTHONPATH}"
export WORLD_SIZE="$SLURM_NTASKS" MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
head="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
# where Slurm itself reaches that node: its name need not be one that the network knows
MASTER_ADDR="$(scontrol show node "$head" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p' | head -n 1)"
export MASTER_ADDR="${MASTER_ADDR:-$head}"
again=""
leave() {
  again=yes
  scancel --signal=TERM "$SLURM_JOB_ID" # to every rank and not to us; srun itself would kill them
}
trap leave USR1 TERM
# shellcheck disable=SC2016  # each rank has its own values
srun --kill-on-bad-exit=1 bash -c 'RANK="$SLURM_PROCID" LOCAL_RANK="$SLURM_LOCALID" exec "$@"' rank \
  "${PYTHON:-@PYTHON@}" -m mambaops.payload.train.vlm --stage 2 --resume auto "$@" &
step=$!
wait "$step"
status=$?
if [ -n "$again" ]; then
  wait "$step" # the first one ended with the signal, not with the ranks
  status=$?
elif [ "$status" -gt 128 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
  again=yes
fi
if [ -n "$again" ] && [ "$status" -ne 0 ]; then
  echo "status $status: job $SLURM_JOB_ID is queued again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
