// The film's clock against the recording's: pairs of seconds, as mien.web.studies.room_clock reads them. Nothing here touches the page.

const DRIFT_S = 0.15; // the film's own word differs by more from what was thought: it is taken down

/** Knows which second of the film is seen at which second of the recording. All seconds that go in are the recording's, rising. */
export class FilmClock {
  #pairs; #since = null; // {at_s, film_s}: running since

  /** `pairs`: those of a page that was loaded again, as `pairs` gave them; `running`: whether the film ran then, and so still runs. */
  constructor(pairs = [], running = false) {
    this.#pairs = pairs.map((pair) => [...pair]);
    if (!running || this.#pairs.length < 2) return;
    this.#pairs.pop(); // it stood for the end that was not there yet
    const [at_s, film_s] = this.#pairs.at(-1);
    this.#since = { at_s, film_s };
  }

  get running() {
    return this.#since !== null;
  }

  get begun() {
    return this.#pairs.length > 0;
  }

  /** The film's second at a second of the recording. */
  film(at_s) {
    if (this.#since) return this.#since.film_s + Math.max(0, at_s - this.#since.at_s);
    return this.#pairs.at(-1)?.[1] ?? 0;
  }

  /** The film runs from `film_s` on (default: where it stood). */
  run(at_s, film_s = this.film(at_s)) {
    this.stand(at_s);
    this.#push(at_s, film_s);
    this.#since = { at_s: this.#pairs.at(-1)[0], film_s };
  }

  /** The film stands still; at `film_s` where that is known. */
  stand(at_s, film_s = this.film(at_s)) {
    if (!this.#since) return;
    this.#push(at_s, film_s);
    this.#since = null;
  }

  /** The film says where it is. True where that was not what was thought. */
  tick(at_s, film_s) {
    if (!this.#since || Math.abs(this.film(at_s) - film_s) <= DRIFT_S) return false;
    this.#push(at_s, film_s);
    this.#since = { at_s: this.#pairs.at(-1)[0], film_s };
    return true;
  }

  /** All pairs, as if the film stood still from now on: whatever becomes of this page, what was seen until now counts. */
  pairs(at_s) {
    const last = this.#since ? [[Math.max(at_s, this.#pairs.at(-1)[0]), this.film(at_s)]] : [];
    return [...this.#pairs, ...last].map((pair) => pair.map((s) => Math.round(s * 1000) / 1000));
  }

  #push(at_s, film_s) {
    const last_s = this.#pairs.at(-1)?.[0] ?? -Infinity;
    this.#pairs.push([Math.max(at_s, last_s), Math.max(0, film_s)]);
  }
}
