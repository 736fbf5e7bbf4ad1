// What became of every look: so that nothing is lost unseen, and the answer times.

const REMEMBERED = 5000; // answer times, for the median
const LATELY_S = 5; // over which looks a second are counted

const quantile = (sorted, q) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] : null);

export class Counts {
  captured = 0; // looks that were due
  sent = 0; // frames that left, late ones too; sent again after a drop counts once
  answered = 0;
  droppedHere = 0;
  droppedThere = 0;
  recorded = 0; // answers that the server wrote down
  #delays_ms = []; #answers_ms = [];

  answer(now_ms) {
    this.answered += 1;
    this.#answers_ms.push(now_ms);
    while (this.#answers_ms[0] < now_ms - LATELY_S * 1000) this.#answers_ms.shift();
  }

  /** From the taking of a picture to its box on the page. */
  drawn(delay_ms) {
    this.#delays_ms.push(delay_ms);
    if (this.#delays_ms.length > REMEMBERED) this.#delays_ms.shift();
  }

  perSecond(now_ms) {
    const recent = this.#answers_ms.filter((t) => t > now_ms - LATELY_S * 1000);
    return recent.length < 2 ? 0 : (recent.length - 1) / Math.max((recent.at(-1) - recent[0]) / 1000, 0.001);
  }

  stats() {
    const sorted = [...this.#delays_ms].sort((a, b) => a - b);
    const { captured, sent, answered, droppedHere, droppedThere, recorded } = this;
    return {
      captured, sent, answered, droppedHere, droppedThere, recorded, drawn: sorted.length,
      median_ms: quantile(sorted, 0.5), p95_ms: quantile(sorted, 0.95), delays_ms: [...this.#delays_ms],
    };
  }
}
