#!/usr/bin/env python3
"""Guided search against random seeds: how many runs, and how much CPU time, the first find of a bug takes.

    benches/hunting/measure.py measure --schism target/debug/schism --out curves.jsonl --runs 600 --starts 3 BUG ...
    benches/hunting/measure.py table curves.jsonl
    benches/hunting/measure.py exhaust --schism target/debug/schism --operations 2

`measure` hunts every bug from every start, once guided and once at random, one job each, and appends a JSON line for each
hunt. A hunt that is in the file already is not made again, so a measurement can be stopped and resumed. `table` prints two
Markdown tables: finds, and the curve of what runs reached. CPU time is read from /proc, so it needs Linux; under load it is
not affected by what else runs, apart from shared caches. `exhaust` tries every single fault on every bug, until one shows it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    """User and system time of a process that has not been waited for, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def lines_of(command):
    """The JSON lines that a command prints, and its CPU time in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
        lines, cost = [], 0.0
        for line in child.stdout:
            lines.append(json.loads(line))
            cost = cpu_s(child.pid)
        # A check that failed has an exit code too, and what failed in the harness is in the summary.
        if child.wait() and not lines:
            sys.exit(f"{' '.join(command)} ended with exit code {child.returncode}")
    return lines, cost


def hunt(terms, bug, start, way):
    """One hunt: what it found, what it cost, and its curve."""
    subject = ["--system", bug] if bug in ("raft", "raft-memory", "lease", "quorum") else ["--bug", bug]
    command = [terms.schism, "hunt", terms.scenario, *subject, "--seed", str(start), "--runs", str(terms.runs), "--jobs", "1"]
    command += ["--until-failure", "--every", "32", "--format", "json"]
    if way == "random":
        command.append("--random")
    curve, found, last = [], None, None
    lines, cost = lines_of(command)
    for said in lines:
        if said["kind"] == "reached":
            curve.append([said["runs"], said["wall_s"], said["features"], said["situation_pairs"]])
        elif said["kind"] == "found":
            found = {"run": said["run"], "checks": said["checks"], "faults": said["faults"]}
        elif said["kind"] == "hunt":
            last = said
    if last is None:
        sys.exit(f"{' '.join(command)} printed no summary")
    # The command tells its curve at the end, by the wall clock; one job on a steady load takes the same share of the CPU.
    curve = [[runs, round(cost * wall / last["wall_s"], 2), *reached] for runs, wall, *reached in curve]
    return {
        "scenario": terms.scenario, "bug": bug, "start": start, "way": way, "limit": terms.runs, "runs": last["runs"],
        "cpu_s": round(cost, 2), "found": found if last["violations"] else None, "features": last["features"],
        "situation_pairs": last["situation_pairs"], "panics": last["panics"], "hangs": last["hangs"],
        "inconclusive": last["inconclusive"], "curve": curve,
    }


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def measure(terms):
    terms.schism = os.path.abspath(terms.schism)
    key = lambda done: (done["scenario"], done["bug"], done["start"], done["way"], done["limit"])
    known = {key(done) for done in read(terms.out)}
    # Start by start, so that a measurement that is stopped has something of every bug.
    for start in range(1, terms.starts + 1):
        for bug in terms.bugs:
            for way in ("guided", "random"):
                if (terms.scenario, bug, start, way, terms.runs) in known:
                    continue
                done = hunt(terms, bug, start, way)
                with open(terms.out, "a", encoding="utf-8") as out:
                    out.write(json.dumps(done) + "\n")


def exhaust(terms):
    terms.schism = os.path.abspath(terms.schism)
    bugs = terms.bugs
    if not bugs:
        lines, _ = lines_of([terms.schism, "zoo", "--list", "--format", "json"])
        bugs = [one["name"] for one in lines]
    print("| bug | shown by | check | runs | CPU s |")
    print("|---|---|---|---|---|")
    for bug in bugs:
        command = [terms.schism, "exhaust", terms.scenario, "--bug", bug, "--operations", str(terms.operations)]
        lines, cost = lines_of(command + ["--until-failure", "--jobs", "1", "--format", "json"])
        broken = next((said for said in lines if said["kind"] == "broken"), None)
        shown_by = (broken["faults"][0], ", ".join(broken["checks"])) if broken else ("nothing", "")
        print(f"| `{bug}` | {shown_by[0]} | {shown_by[1]} | {lines[-1]['runs']} | {cost:.0f} |", flush=True)


def middle(hunts, value):
    """The median, where a hunt that found nothing counts as longer than all: `None` if that is the middle one."""
    values = sorted(value(done) if done["found"] else float("inf") for done in hunts)
    median = statistics.median_low(values)
    return None if median == float("inf") else median


def shown(number, limit):
    return f"over {limit}" if number is None else f"{number:.0f}"


def table(terms):
    done = read(terms.file)
    print("| bug | starts | found guided | found random | runs guided | runs random | CPU s guided | CPU s random |")
    print("|---|---|---|---|---|---|---|---|")
    for bug in dict.fromkeys(one["bug"] for one in done):
        ways = {way: [one for one in done if (one["bug"], one["way"]) == (bug, way)] for way in ("guided", "random")}
        both = {one["start"] for one in ways["guided"]} & {one["start"] for one in ways["random"]}
        if not both:
            continue
        cells = []
        for value in (None, lambda one: one["runs"], lambda one: one["cpu_s"]):
            for hunts in ([one for one in ways[way] if one["start"] in both] for way in ("guided", "random")):
                if value is None:
                    cells.append(str(sum(1 for one in hunts if one["found"])))
                else:
                    most = max(value(one) for one in hunts)
                    cells.append(shown(middle(hunts, value), f"{most:.0f}"))
        print(f"| `{bug}` | {len(both)} | " + " | ".join(cells) + " |")
    print()
    print("| runs | hunts | features guided | features random | pairs guided | pairs random | CPU s guided | CPU s random |")
    print("|---|---|---|---|---|---|---|---|")
    points = {}
    for one in done:
        for runs, cost, features, pairs in one["curve"]:
            points.setdefault((one["bug"], one["start"], runs), {})[one["way"]] = (features, pairs, cost)
    for runs in sorted({runs for _, _, runs in points}):
        both = [ways for (_, _, at), ways in points.items() if at == runs and len(ways) == 2]
        if both:
            mean = lambda way, what: statistics.mean(ways[way][what] for ways in both)
            cells = [f"{mean(way, what):.0f}" for what in range(3) for way in ("guided", "random")]
            print(f"| {runs} | {len(both)} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("measure", help="hunt, and append to a file")
    one.add_argument("--schism", default="target/debug/schism", help="the binary")
    one.add_argument("--scenario", default="zoo")
    one.add_argument("--out", required=True, help="the file of JSON lines")
    one.add_argument("--runs", type=int, default=600, help="the most runs of one hunt")
    one.add_argument("--starts", type=int, default=3, help="from how many seeds each bug is hunted")
    one.add_argument("bugs", nargs="+", metavar="BUG")
    one.set_defaults(act=measure)
    two = commands.add_parser("table", help="print what a file shows")
    two.add_argument("file")
    two.set_defaults(act=table)
    three = commands.add_parser("exhaust", help="try every single fault on bugs, and print which shows them")
    three.add_argument("--schism", default="target/debug/schism", help="the binary")
    three.add_argument("--scenario", default="zoo")
    three.add_argument("--operations", type=int, default=2)
    three.add_argument("bugs", nargs="*", metavar="BUG", help="all bugs, if none is named")
    three.set_defaults(act=exhaust)
    terms = parser.parse_args()
    terms.act(terms)


if __name__ == "__main__":
    main()
