#!/usr/bin/env bash
# One array job sweeps, each task one part of the seeds:
#
#   sbatch --array=1-8 docs/deploy/slurm.sh zoo 0..10000 /shared/zoo --system raft
#
# The arguments are a scenario, the seeds, a folder that all machines see, and whatever else `schism sweep` takes. A task
# that is preempted or loses its machine is queued again and goes on where its log ends. Afterwards:
#
#   schism sweep merge /shared/zoo/part-*.jsonl --out /shared/zoo/all.jsonl
#
#SBATCH --job-name=schism
#SBATCH --array=1-8
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
[[ $# -ge 3 ]] || { echo "usage: sbatch --array=1-8 $0 SCENARIO SEEDS FOLDER [ARGUMENT...]" >&2; exit 64; }
scenario=$1 seeds=$2 folder=$3
shift 3
mkdir -p "$folder"
# Without `exec` the shell would get the signal that announces the end, and schism would not.
exec "${SCHISM:-schism}" sweep "$scenario" --seeds "$seeds" --shard "job/$SLURM_ARRAY_TASK_COUNT" \
  --jobs "${SLURM_CPUS_PER_TASK:-1}" --out "$folder/part-$SLURM_ARRAY_TASK_ID.jsonl" --resume "$@"
