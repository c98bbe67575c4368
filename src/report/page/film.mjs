// Playing: a view's time moves on with the clock of the screen, at the pace that was chosen or at that of the film.
import { lowerBound } from "./decode.mjs";
import { paceAt } from "./pace.mjs";

/** A frame that comes later than this, in real ms, was not waited for: the film goes on as if it had been in time. */
const LATE = 50;
/** Where no motion is wanted, the film is a row of stills: a beat, or a second of the run, for this many real ms. */
const STILL = 1500;
const STILL_STEP = 1000;

/** Whether motion is wanted. */
export const wantsMotion = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Plays a view; `beats` are those of its runs, `told()` is called when it begins or ends to play. */
export class Film {
  constructor(view, beats, told) {
    Object.assign(this, { view, beats, told, last: null });
  }

  get playing() {
    return this.last !== null;
  }

  start() {
    if (this.playing) return;
    if (this.view.t >= this.view.end) this.view.go(this.view.from);
    this.last = performance.now();
    this.view.set({ playing: true });
    this.told();
    requestAnimationFrame((now) => this.frame(now));
  }

  stop() {
    if (!this.playing) return;
    this.last = null;
    this.view.set({ playing: false });
    this.told();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.start();
  }

  frame(now) {
    if (!this.playing) return;
    if (wantsMotion()) this.move(Math.min(LATE, Math.max(0, now - this.last)), now);
    else if (now - this.last >= STILL) this.skip(now);
    if (this.view.t >= this.view.end) this.stop();
    else requestAnimationFrame((next) => this.frame(next));
  }

  move(passed, now) {
    const { view } = this;
    view.go(view.t + passed * (view.pace ?? paceAt(this.beats, view.t)));
    this.last = now;
  }

  /** To the next still: shortly after the next beat, when its effect is to be seen. */
  skip(now) {
    const { view, beats } = this;
    const beat = beats[lowerBound(beats, view.t)] ?? Infinity;
    view.go(Math.min(view.t + STILL_STEP, beat + STILL_STEP / 10));
    this.last = now;
  }
}
