#!/usr/bin/env bash
# Made by `harness ci gradescope --assignment @ID@`. Gradescope runs it for each submission.
#
# Where this machine, and not the submission, is at fault, no results are written: Gradescope then says that the
# autograder failed, and nobody gets a grade for it. What is printed here is for instructors.
set -uo pipefail
umask 077

home=${AUTOGRADER:-/autograder}
harness=$home/harness/bin/harness
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
rm -f "$home/results/results.json"

cd "$home/source" || exit 3
"$harness" grade "$home/submission" --assignment @SHELL_ID@ --sandbox @SHELL_SANDBOX@ --ci none \
  --json "$reports/report.json" --feedback "$reports/feedback.json"
status=$?
if ((status > 1)); then
  exit "$status"
fi
"$harness" ci gradescope-results "$reports/report.json" "$reports/feedback.json" --out "$home/results/results.json"
