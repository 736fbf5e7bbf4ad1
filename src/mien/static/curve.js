// Curves of an analysis as /series gives them: times, and a value per emotion at each, null where nobody is.

/** The curve of everybody ("all") or of one face; null where there is none. {times, values: {label: […]}} with a null in every gap. */
export function curveOf(series, whose) {
  if (whose === "all") return { times: series.times, values: series.mean };
  const track = series.tracks[whose];
  if (!track) return null;
  return withGaps(track.times, track.emotions, usualStep(series.times));
}

/** The median time between two looks, in seconds. */
export function usualStep(times) {
  if (times.length < 2) return 1;
  const steps = times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b);
  return steps[steps.length >> 1] || steps[steps.length - 1] || 1;
}

/** A face's times leave out where it is not seen; a null there breaks the line. */
function withGaps(times, emotions, step) {
  const wide = 2.5 * Math.max(step, usualStep(times));
  const at = times.map((t, i) => (i && t - times[i - 1] > wide ? i : -1)).filter((i) => i >= 0);
  if (!at.length) return { times, values: emotions };
  const open = (list, gap) => {
    const out = [];
    let from = 0;
    for (const i of at) {
      for (; from < i; from++) out.push(list[from]);
      out.push(gap(i));
    }
    return out.concat(list.slice(from));
  };
  return {
    times: open(times, (i) => (times[i - 1] + times[i]) / 2),
    values: Object.fromEntries(Object.entries(emotions).map(([label, list]) => [label, open(list, () => null)])),
  };
}

/** The position of the look nearest to `t`; -1 where there is none. */
export function nearest(times, t) {
  let low = 0, high = times.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < t) low = middle + 1;
    else high = middle;
  }
  return low > 0 && t - times[low - 1] <= times[low] - t ? low - 1 : low;
}

/** {label: value} at `t`, or null where nobody is then (no look within two and a half usual steps, or a gap). */
export function valuesAt(curve, t, step) {
  const i = nearest(curve.times, t);
  if (i < 0 || Math.abs(curve.times[i] - t) > Math.max(2.5 * step, 0.05)) return null;
  const entries = Object.entries(curve.values).map(([label, list]) => [label, list[i]]);
  return entries.every(([, value]) => value === null || value === undefined) ? null : Object.fromEntries(entries);
}

/** Stretches {from, to, label} in which one emotion leads. */
export function stretches(curve, step, end) {
  const labels = Object.keys(curve.values), out = [];
  let open = null;
  curve.times.forEach((t, i) => {
    let lead = null, most = -1;
    for (const label of labels) {
      const value = curve.values[label][i];
      if (value !== null && value > most) [lead, most] = [label, value];
    }
    const until = Math.min(curve.times[i + 1] ?? t + step, end);
    if (!lead) {
      open = null;
      return;
    }
    // Where the next look is far away, the face went away in between.
    const to = until - t > 2.5 * step && curve.values[labels[0]][i + 1] === null ? t + step : until;
    if (open && open.label === lead) open.to = to;
    else out.push((open = { from: t, to, label: lead }));
  });
  return out.filter((s) => s.to > s.from);
}

/** The highest `most` emotions in words: "happiness 83%, neutral 10%". */
export function words(values, most = 3) {
  if (!values) return "nobody in view";
  const told = Object.entries(values).filter(([, v]) => v !== null && v >= 0.005).sort((a, b) => b[1] - a[1]).slice(0, most);
  return told.map(([label, value]) => `${label} ${Math.round(value * 100)}%`).join(", ");
}

/**
 * A curve, null in its gaps, through a Gaussian with a standard deviation of `sd` values; the same as `mien.audience.smooth`: it ends
 * at four of these and at the nearer end of the stretch, on both sides alike. `cuts` are positions at which another stretch begins.
 */
export function smooth(values, sd, cuts = []) {
  const begins = new Set(cuts), from = [], to = [], out = [...values];
  const joined = (i) => i > 0 && values[i - 1] !== null && !begins.has(i);
  values.forEach((value, i) => (from[i] = value === null ? -1 : joined(i) ? from[i - 1] : i));
  for (let i = values.length - 1; i >= 0; i--) to[i] = values[i] === null ? -1 : i + 1 < values.length && values[i + 1] !== null && !begins.has(i + 1) ? to[i + 1] : i;
  values.forEach((value, i) => {
    if (value === null) return;
    let sum = value, weight = 1;
    for (let far = 1, most = Math.min(Math.floor(4 * sd), i - from[i], to[i] - i); far <= most; far++) {
      const share = Math.exp(-0.5 * (far / sd) ** 2);
      sum += share * (values[i - far] + values[i + far]);
      weight += 2 * share;
    }
    out[i] = sum / weight;
  });
  return out;
}
