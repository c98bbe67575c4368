// How fast simulated time passes while the ring plays: quickly, but slowly where something happens that is worth seeing.
import { lowerBound } from "./decode.mjs";

/** Simulated time per real time: at a beat, and far from any. */
const CLOSE = 1 / 20;
const FAR = 1.2;
/** The slow motion that can be chosen: a message between two data centres flies for half a second. */
export const SLOW_MOTION = 1 / 50;
/** Over how many simulated ms from a beat the pace grows e-fold. */
const GROWS = 45;
/** A beat lasts from a little before its instant until a little after, in simulated ms. */
const BEAT = { before: 15, after: 70 };
/** More beats would make a film of a minute. */
const MOST_BEATS = 6;
/** What is seen lasts for these real ms: a message's flight at least, a change, a receipt. */
const SEEN = { flight: 200, fades: 420, lasts: 1100 };

/** The instants worth slowing down for, in order: a fault begins, two lead, two receipts, a fault ends, a new leader. */
export function beatsOf(runs) {
  const faults = runs[0]?.faults ?? [];
  const first = faults.reduce((best, fault) => (best && best.from <= fault.from ? best : fault), null);
  const found = runs.flatMap((run) => {
    const overlap = run.outcome.conflicting_acks ? run.overlaps[0]?.from : undefined;
    const elected = first && run.roles.find(({ role, scope, from }) => role === "primary" && scope === "all" && from > first.from);
    return [overlap, run.scene.conflicts[0]?.at, elected?.from];
  });
  const edges = [...faults].sort((a, b) => a.from - b.from).slice(0, 3).flatMap(({ from, until }) => [from, until]);
  const end = Math.max(0, ...runs.map((run) => run.end));
  const all = [...edges, ...found].filter((t) => t !== undefined && t !== null && t < end).sort((a, b) => a - b);
  return all.filter((t, index) => index === 0 || t - all[index - 1] > BEAT.after).slice(0, MOST_BEATS);
}

/** Where the film begins: shortly before the first beat. */
export const prelude = (beats) => Math.max(0, (beats[0] ?? 0) - 700);

/** The instant that says most in a picture that stands still: two receipts, or the last beat before faults end. */
export function telling(runs, beats) {
  const pair = runs.flatMap((run) => run.scene.conflicts.slice(0, 1))[0];
  return pair ? pair.at + BEAT.after : (beats[0] ?? 0) + BEAT.after;
}

/** The pace at an instant of a film with these beats: continuous, so nothing in the picture jumps. */
export function paceAt(beats, t) {
  const next = lowerBound(beats, t);
  const after = next > 0 ? Math.max(0, t - beats[next - 1] - BEAT.after) : Infinity;
  const before = next < beats.length ? Math.max(0, beats[next] - t - BEAT.before) : Infinity;
  return Math.min(FAR, CLOSE * Math.exp(Math.min(after, before, 1e4) / GROWS));
}

/** For how much simulated time things are seen at a pace. */
export const seenAt = (pace) => ({ flight: SEEN.flight * pace, fades: SEEN.fades * pace, lasts: Math.max(40, SEEN.lasts * pace) });

/** Every instant at which something is to be seen in a ring, in order: what a step goes to. */
export function stepsOf(runs) {
  const times = runs.flatMap((run) => [
    ...run.messages.filter(({ quiet }) => !quiet).flatMap(({ sent, end }) => [sent, end]),
    ...run.roles.map(({ from }) => from),
    ...run.operations.flatMap(({ start, end }) => [start, end]),
    ...run.faults.flatMap(({ from, until }) => [from, until]),
  ]);
  return Float64Array.from(new Set(times)).sort();
}

/** The next or the last instant of `steps` from `t` on, or `t` itself. */
export function stepFrom(steps, t, direction) {
  const at = direction > 0 ? lowerBound(steps, t + 1e-6) : lowerBound(steps, t - 1e-6) - 1;
  return steps[at] ?? t;
}
