// A worker that ticks. Browsers slow a page's own timers to one a second, or less, while its tab is in the background; not a worker's.

let timer, next, every_ms;

function tick() {
  postMessage(null);
  // From the last due time on, not from now, so that lateness does not add up; after a long stop (a laptop asleep) anew.
  next = Math.max(next + every_ms, performance.now() + every_ms / 4);
  timer = setTimeout(tick, next - performance.now());
}

onmessage = (event) => {
  clearTimeout(timer);
  every_ms = event.data;
  if (every_ms === null) return;
  next = performance.now();
  tick();
};
